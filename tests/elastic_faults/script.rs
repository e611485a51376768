//! What becomes of requests, by chance: a seeded script of faults before the model of a server.
//!
//! # Invariants
//! 1. What is poison is refused whenever it is carried out, so that it is never both there and a dead letter.
//! 2. A request that is carried out late is so before [`LATE_BOUND`] is over since it was sent.

use crate::{
    http::{Answer, Item, Kind, Reading, Refusal, Request, Response, SharedModel},
    random::Random,
};
use millpond::SimulatedClock;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

pub(crate) const INDICES: [&str; 4] = ["east", "north", "south", "west"];
/// A longer request is never taken: what is refused as too large once is not tried again.
const REQUEST_BYTES_MAX: usize = 12 * 1024;
pub(crate) const LATE_BOUND: Duration = Duration::from_secs(5);

pub(crate) struct Script {
    random: Random,
    model: SharedModel,
    clock: SimulatedClock,
    /// Requests that are carried out later, and when.
    late: Vec<(u64, Request)>,
    locked_out_until_us: u64,
    /// An index that is blocked, until when, and by what.
    blocked: Option<(&'static str, u64, u16)>,
    /// Documents of which an answer was that of a second execution: it may have told wrongly what was there before.
    pub(crate) told_wrong: BTreeSet<(String, String)>,
    /// How often each fault was met.
    pub(crate) met: BTreeMap<&'static str, u64>,
}

/// Never carried out.
fn poisoned(item: &Item) -> Option<Refusal> {
    item.body.to_string().contains("poison").then(Refusal::mapping)
}

impl Script {
    pub(crate) fn new(seed: u64, model: SharedModel, clock: SimulatedClock) -> Self {
        Self {
            random: Random::new(seed ^ 0x5C_2197),
            model,
            clock,
            late: Vec::new(),
            locked_out_until_us: 0,
            blocked: None,
            told_wrong: BTreeSet::new(),
            met: BTreeMap::new(),
        }
    }

    /// What is done before the body is there.
    pub(crate) fn reading(&mut self, request: &Request) -> Reading {
        if !request.path.starts_with("/_bulk") || !self.random.chance(2) {
            return Reading::Whole;
        }
        let after = usize::try_from(self.random.below(40)).unwrap();
        if self.random.chance(50) {
            self.meet("closed in the midst of it");
            Reading::Close { after }
        } else {
            self.meet("reset in the midst of it");
            Reading::Reset { after }
        }
    }

    /// Carries out what is late by now.
    pub(crate) fn carry_out_late(&mut self) {
        let now_us = self.clock.now_us();
        let (due, rest) =
            std::mem::take(&mut self.late).into_iter().partition(|(due_us, _)| *due_us <= now_us);
        self.late = rest;
        let due: Vec<(u64, Request)> = due;
        for (_, request) in due {
            self.carry_out(&request);
        }
    }

    fn meet(&mut self, what: &'static str) {
        *self.met.entry(what).or_default() += 1;
    }

    fn carry_out(&self, request: &Request) -> Response {
        self.refusing(request, |_| None)
    }

    fn refusing(&self, request: &Request, mut refuse: impl FnMut(&Item) -> Option<Refusal>) -> Response {
        self.model.lock().answer_refusing(request, |item| poisoned(item).or_else(|| refuse(item)))
    }

    /// Carries out but for some items, each by chance.
    fn refusing_some(&mut self, request: &Request, refusal: fn(&Item) -> Option<Refusal>) -> Response {
        let mut random = self.random.clone();
        self.random.next();
        self.refusing(request, |item| refusal(item).filter(|_| random.chance(30)))
    }

    pub(crate) fn answer(&mut self, request: &Request) -> Answer {
        self.carry_out_late();
        let now_us = self.clock.now_us();
        if now_us < self.locked_out_until_us {
            return Response::error(401, "security_exception", "no").into();
        }
        if let Some((index, _, status)) = self.blocked.filter(|(_, until_us, _)| now_us < *until_us) {
            let block = || Refusal::new(status, "cluster_block_exception", "index is blocked");
            return self.refusing(request, |item| (item.index == index).then(block)).into();
        }
        if request.body.len() > REQUEST_BYTES_MAX {
            self.meet("413");
            return Response::empty(413).into();
        }
        let many = request.text().lines().filter(|line| line.contains("\"_index\"")).count() > 1;
        let draw = self.random.below(100);
        let answer = match draw {
            0..20 => self.refuse(draw, request),
            20..33 => self.garble(draw, request, many),
            _ => self.disturb(draw, request),
        };
        answer.unwrap_or_else(|| self.carry_out(request).into())
    }

    /// It is not carried out, or not all of it, and the answer says so.
    fn refuse(&mut self, draw: u64, request: &Request) -> Option<Answer> {
        Some(match draw {
            0..3 => {
                self.meet("429");
                let response = Response::too_many_requests();
                if self.random.chance(30) {
                    response.header("retry-after", "1").into()
                } else {
                    response.into()
                }
            }
            3..6 => {
                self.meet("429 of items");
                self.refusing_some(request, |_| Some(Refusal::too_many_requests())).into()
            }
            9..11 => {
                self.meet("blocked cluster");
                Response::error(503, "cluster_block_exception", "state not recovered").into()
            }
            11..13 => {
                self.meet("503, not carried out");
                Response::error(503, "no_shard_available_action_exception", "none").into()
            }
            13..15 => {
                self.meet("502, carried out");
                self.carry_out(request);
                Response::empty(502).into()
            }
            15..17 => {
                self.meet("503 of items");
                self.refusing_some(request, |_| Some(Refusal::unavailable())).into()
            }
            17..19 => {
                self.meet("409 of items");
                let conflict = |item: &Item| {
                    let refusal = || Refusal::new(409, "version_conflict_engine_exception", "required seqNo");
                    (item.kind != Kind::Create).then(refusal)
                };
                self.refusing_some(request, conflict).into()
            }
            19..20 => {
                self.meet("a lost script");
                let lost = || Refusal::new(404, "resource_not_found_exception", "unable to find script [x]");
                self.refusing(request, |item| item.body.get("script").map(|_| lost())).into()
            }
            _ => return None,
        })
    }

    /// The answer is lost, or cannot be understood.
    fn garble(&mut self, draw: u64, request: &Request, many: bool) -> Option<Answer> {
        Some(match draw {
            20..22 => {
                self.meet("no answer, not carried out");
                if self.random.chance(50) { Answer::Close } else { Answer::Reset }
            }
            22..24 => {
                self.meet("no answer, carried out");
                self.carry_out(request);
                if self.random.chance(50) { Answer::Close } else { Answer::Reset }
            }
            24..27 => {
                self.meet("half an answer");
                let response = self.carry_out(request);
                let bytes = response.body.len() / 2;
                if self.random.chance(50) {
                    Answer::half(response)
                } else {
                    Answer::CutAndReset(response, bytes)
                }
            }
            27..29 if many => {
                self.meet("another order");
                self.carry_out(request).map_items(|items| items.reverse()).into()
            }
            29..31 if many => {
                self.meet("too few items");
                self.carry_out(request).map_items(|items| items.truncate(items.len() - 1)).into()
            }
            31..33 => {
                self.meet("another document's answer");
                let strange = |item: &mut Value| {
                    item.as_object_mut().unwrap().values_mut().next().unwrap()["_id"] = json!("strange");
                };
                self.carry_out(request).map_items(|items| strange(&mut items[0])).into()
            }
            _ => return None,
        })
    }

    /// It is carried out at another time or twice; or something else begins.
    fn disturb(&mut self, draw: u64, request: &Request) -> Option<Answer> {
        Some(match draw {
            33..35 => {
                self.meet("carried out twice, the first answer");
                let response = self.carry_out(request);
                self.carry_out(request);
                response.into()
            }
            35..36 => {
                self.meet("carried out twice, the second answer");
                self.carry_out(request);
                let response = self.carry_out(request);
                self.note_told_wrong(&response);
                response.into()
            }
            36..39 => {
                self.meet("carried out late");
                self.put_off(request);
                Answer::Close
            }
            39..40 => {
                self.meet("carried out now and late");
                self.carry_out(request);
                self.put_off(request);
                Answer::Reset
            }
            40..42 => {
                self.meet("slow");
                let answer = self.carry_out(request);
                self.clock.advance(Duration::from_millis(self.random.below(20_000)));
                answer.into()
            }
            42..43 if self.random.chance(20) => {
                self.meet("401 for a while");
                self.locked_out_until_us = self.clock.now_us() + self.random.below(10_000_000);
                Response::error(401, "security_exception", "no").into()
            }
            43..44 if self.random.chance(50) => {
                self.meet("an index that is blocked for a while");
                let status = *self.random.pick(&[403, 429, 503]);
                let index = *self.random.pick(&INDICES);
                self.blocked = Some((index, self.clock.now_us() + self.random.below(8_000_000), status));
                self.carry_out(request).into()
            }
            44..48 if request.text().contains("poison") => {
                self.meet("400");
                Response::error(400, "mapper_parsing_exception", "failed to parse").into()
            }
            _ => return None,
        })
    }

    fn put_off(&mut self, request: &Request) {
        let bound_us = u64::try_from(LATE_BOUND.as_micros()).unwrap();
        let due_us = self.clock.now_us() + self.random.below(bound_us);
        self.late.push((due_us, request.clone()));
    }

    fn note_told_wrong(&mut self, response: &Response) {
        for item in response.value()["items"].as_array().into_iter().flatten() {
            let item = item.as_object().unwrap().values().next().unwrap();
            let text = |name: &str| item[name].as_str().unwrap().to_owned();
            self.told_wrong.insert((text("_index"), text("_id")));
        }
    }
}
