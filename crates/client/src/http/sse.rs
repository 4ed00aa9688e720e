//! Reads server-sent events (WHATWG HTML, section 9.2) out of bytes as they arrive. No I/O.

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Its name; `message` when the server gave none.
    pub name: String,
    /// Its data; lines are joined with line feeds.
    pub data: String,
    /// The last id that the stream gave, the cursor to go on after.
    pub id: Option<String>,
}

/// The stream holds something that cannot be an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event is longer than {MAX_EVENT_BYTES} bytes or not text")]
pub(super) struct EventError;

/// Longer events than this are refused.
pub(super) const MAX_EVENT_BYTES: usize = 64 * 1024;

/// The state of reading.
#[derive(Debug, Default)]
pub(super) struct Parser {
    line: Vec<u8>,
    after_return: bool,
    name: String,
    data: String,
    has_data: bool,
    id: Option<String>,
}

impl Parser {
    /// The last id that came, also without an event.
    pub(super) fn last_id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Takes bytes in and gives out the events that are complete.
    ///
    /// # Errors
    /// When an event is too long or not UTF-8; the stream is then of no more use.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Event>, EventError> {
        let mut events = Vec::new();
        for byte in bytes {
            let follows_return = std::mem::replace(&mut self.after_return, *byte == b'\r');
            match byte {
                b'\n' if follows_return => {}
                b'\n' | b'\r' => events.extend(self.end_of_line()?),
                _ if self.line.len().saturating_add(self.data.len()) >= MAX_EVENT_BYTES => {
                    return Err(EventError);
                }
                byte => self.line.push(*byte),
            }
        }
        Ok(events)
    }

    fn end_of_line(&mut self) -> Result<Option<Event>, EventError> {
        let bytes = std::mem::take(&mut self.line);
        let line = str::from_utf8(&bytes).map_err(|_| EventError)?;
        if line.is_empty() {
            return Ok(self.dispatch());
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => {
                if self.has_data {
                    self.data.push('\n');
                }
                self.data.push_str(value);
                self.has_data = true;
            }
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            // Comments have an empty field name; unknown fields are ignored, as the standard says.
            _ => {}
        }
        Ok(None)
    }

    fn dispatch(&mut self) -> Option<Event> {
        let name = std::mem::take(&mut self.name);
        let data = std::mem::take(&mut self.data);
        std::mem::take(&mut self.has_data).then(|| Event {
            name: if name.is_empty() { "message".to_owned() } else { name },
            data,
            id: self.id.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STREAM: &str = ": hello\n\nevent: change\nid: 7\ndata: {\"a\":1}\ndata:b\n\n\
                          data: x\r\n\r\nevent: none\n\ndata\n\nretry: 5\n\n";

    fn expected() -> Vec<Event> {
        let event = |name: &str, data: &str| Event {
            name: name.into(),
            data: data.into(),
            id: Some("7".into()),
        };
        vec![event("change", "{\"a\":1}\nb"), event("message", "x"), event("message", "")]
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut parser = Parser::default();
        assert_eq!(parser.feed(&vec![b'x'; MAX_EVENT_BYTES + 1]), Err(EventError));
        let mut parser = Parser::default();
        let line = format!("data: {}\n", "y".repeat(1_000));
        let outcome: Result<Vec<_>, _> = (0..100).map(|_| parser.feed(line.as_bytes())).collect();
        assert_eq!(outcome, Err(EventError));
    }

    proptest! {
        #[test]
        fn events_do_not_depend_on_how_the_bytes_arrive(
            cuts in prop::collection::vec(1_usize..9, 1..80),
        ) {
            let mut parser = Parser::default();
            let mut events = Vec::new();
            let mut rest = STREAM.as_bytes();
            for cut in cuts.iter().cycle() {
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                events.extend(parser.feed(now).unwrap());
                rest = later;
                if rest.is_empty() { break; }
            }
            prop_assert_eq!(events, expected());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = Parser::default().feed(&bytes);
        }
    }
}
