//! Bytes into frames: the content of DATA as it comes, all others once they are whole.

use crate::http2::frame::{Fault, HEAD, Head, PREFACE, code, fault, flag, kind};

/// What a step has found.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'b> {
    /// More bytes are needed.
    Wait,
    /// A DATA frame begins.
    Data(Head),
    /// Its padding counts this much, with the byte that says so.
    Padding(Head, usize),
    Content(Head, &'b [u8]),
    DataOver(Head),
    Whole(Head, &'b [u8]),
    /// A whole frame whose payload is in `gathered`.
    Gathered(Head),
}

enum Place {
    Preface,
    Head,
    /// The byte that says how much padding there is.
    PadLength,
    Content,
    Padding,
    /// A frame that is not DATA.
    Payload,
    Skipped,
}

pub struct Parser {
    place: Place,
    head_bytes: [u8; HEAD],
    /// Bytes of the preface or of a head that have come.
    come: usize,
    head: Head,
    /// Bytes of the payload that are to come, without the padding of DATA.
    left: usize,
    padding: usize,
    /// The payload of a frame that came in pieces.
    pub gathered: Vec<u8>,
}

/// Memory that `gathered` keeps.
const KEPT: usize = 4 * 1024;

fn cut<'b>(rest: &mut &'b [u8], most: usize) -> &'b [u8] {
    let (taken, after) = rest.split_at(most.min(rest.len()));
    *rest = after;
    taken
}

impl Parser {
    /// `preface`: it comes first, as from a client.
    pub fn new(preface: bool) -> Self {
        Self {
            place: if preface { Place::Preface } else { Place::Head },
            head_bytes: [0; HEAD],
            come: 0,
            head: Head::default(),
            left: 0,
            padding: 0,
            gathered: Vec::new(),
        }
    }

    /// `largest`: the longest payload that is taken.
    pub fn step<'b>(&mut self, rest: &mut &'b [u8], largest: u32) -> Result<Step<'b>, Fault> {
        loop {
            match self.place {
                Place::Preface => {
                    let bytes = cut(rest, PREFACE.len() - self.come);
                    if bytes != &PREFACE[self.come..self.come + bytes.len()] {
                        // RFC 9113 section 3.4.
                        return fault(code::PROTOCOL_ERROR, "no client connection preface");
                    }
                    self.come += bytes.len();
                    if self.come < PREFACE.len() {
                        return Ok(Step::Wait);
                    }
                    self.come = 0;
                    self.place = Place::Head;
                }
                Place::Head => {
                    let bytes = cut(rest, HEAD - self.come);
                    self.head_bytes[self.come..self.come + bytes.len()].copy_from_slice(bytes);
                    self.come += bytes.len();
                    if self.come < HEAD {
                        return Ok(Step::Wait);
                    }
                    self.come = 0;
                    if let Some(step) = self.begin(largest)? {
                        return Ok(step);
                    }
                }
                Place::PadLength => {
                    let Some(&length) = cut(rest, 1).first() else {
                        return Ok(Step::Wait);
                    };
                    self.padding = usize::from(length);
                    self.left -= 1;
                    if self.padding > self.left {
                        // RFC 9113 section 6.1.
                        return fault(code::PROTOCOL_ERROR, "more padding than payload");
                    }
                    self.left -= self.padding;
                    self.place = Place::Content;
                    return Ok(Step::Padding(self.head, self.padding + 1));
                }
                Place::Content if self.left > 0 => {
                    let bytes = cut(rest, self.left);
                    if bytes.is_empty() {
                        return Ok(Step::Wait);
                    }
                    self.left -= bytes.len();
                    return Ok(Step::Content(self.head, bytes));
                }
                Place::Content => self.place = Place::Padding,
                Place::Padding => {
                    self.padding -= cut(rest, self.padding).len();
                    if self.padding > 0 {
                        return Ok(Step::Wait);
                    }
                    self.place = Place::Head;
                    return Ok(Step::DataOver(self.head));
                }
                Place::Payload => {
                    let bytes = cut(rest, self.left);
                    self.left -= bytes.len();
                    if self.left == 0 && self.gathered.is_empty() {
                        self.place = Place::Head;
                        return Ok(Step::Whole(self.head, bytes));
                    }
                    self.gathered.extend_from_slice(bytes);
                    if self.left > 0 {
                        return Ok(Step::Wait);
                    }
                    self.place = Place::Head;
                    return Ok(Step::Gathered(self.head));
                }
                Place::Skipped => {
                    self.left -= cut(rest, self.left).len();
                    if self.left > 0 {
                        return Ok(Step::Wait);
                    }
                    self.place = Place::Head;
                }
            }
        }
    }

    fn begin(&mut self, largest: u32) -> Result<Option<Step<'static>>, Fault> {
        let head = Head::decode(&self.head_bytes);
        self.head = head;
        self.left = head.length;
        self.padding = 0;
        if head.length > largest as usize {
            // RFC 9113 section 4.2.
            return fault(code::FRAME_SIZE_ERROR, "a frame beyond MAX_FRAME_SIZE");
        }
        match head.kind {
            kind::DATA => {
                self.place = Place::Content;
                if head.has(flag::PADDED) {
                    if head.length == 0 {
                        return fault(code::FRAME_SIZE_ERROR, "DATA without its pad length");
                    }
                    self.place = Place::PadLength;
                }
                Ok(Some(Step::Data(head)))
            }
            kind::HEADERS..=kind::CONTINUATION => {
                self.place = Place::Payload;
                Ok(None)
            }
            _ => {
                self.place = Place::Skipped;
                // RFC 9113 section 5.5: ignored, but for what it stands between (section 6.10).
                Ok(Some(Step::Whole(head, &[])))
            }
        }
    }

    /// Takes the memory of `gathered` back.
    pub fn reuse(&mut self, mut gathered: Vec<u8>) {
        gathered.clear();
        if gathered.capacity() <= KEPT {
            self.gathered = gathered;
        }
    }

    /// It stands between two frames.
    #[cfg(test)]
    pub fn between_frames(&self) -> bool {
        matches!(self.place, Place::Head) && self.come == 0
    }
}
