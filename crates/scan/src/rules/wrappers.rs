//! Rules that a scan makes of the code that it reads: functions which hand a key on are loaders and
//! sinks themselves.

use std::sync::Arc;

use super::{Load, Rules, Sink, Table};
use crate::code;
use crate::gate::Gate;
use crate::python;
use crate::site::{Reaches, Wrapper};

/// Shorter words are too frequent to open the gate.
const MIN_WORD_BYTES: usize = 6;

impl Rules {
    /// These rules, and wrappers of a language: each as a plain call and as one of any receiver.
    pub(crate) fn with_wrappers<'a>(
        &self,
        language: &str,
        wrappers: impl IntoIterator<Item = &'a Wrapper>,
    ) -> Self {
        let mut table = Table { language: language.to_owned(), ..Table::default() };
        for wrapper in wrappers {
            for call in [wrapper.function.clone(), format!("*.{}", wrapper.function)] {
                match &wrapper.reaches {
                    Reaches::Loader(source) => table.sources.push(Load {
                        call,
                        setting: wrapper.parameter,
                        fallback: None,
                        fallback_keywords: Vec::new(),
                        from: *source,
                        live: false,
                    }),
                    Reaches::Sink(_, does) => table.sinks.push(Sink {
                        call,
                        key: Some(wrapper.parameter),
                        receiver: false,
                        keywords: wrapper.keyword.iter().cloned().collect(),
                        does: *does,
                        keeps: false,
                        public: false,
                        unless: None,
                        // Much that has no key is started in the same way.
                        certain: wrapper.function != "init_app",
                        remedy: None,
                    }),
                }
            }
        }
        let mut rules = Self { leaves_passwords: self.leaves_passwords, ..Self::default() };
        if language == "python" {
            // Most files call few wrappers: these lie over the index that all files share.
            rules.python = Arc::new(python::Index::over(self.python(), &table)).into();
        } else if let Some(place) = code::LANGUAGES.iter().position(|one| *one == language)
            && let Some(words) = rules.words.get_mut(place)
        {
            let number = self.of(language).count();
            let over = code::Words::over(self.words(language), number, &table);
            *words = Arc::new(over).into();
        }
        rules.tables.clone_from(&self.tables);
        rules.tables.push(Arc::new(table));
        rules
    }

    /// Words that open the gate for calls that take a key and have none of its own words.
    pub fn words_beyond(&self, gate: &Gate) -> Vec<String> {
        let sinks = self.tables.iter().flat_map(|table| &table.sinks);
        let sinks = sinks.filter(|sink| sink.key.is_some() || !all_pass(gate, &sink.keywords));
        let implicit = self.tables.iter().flat_map(|table| &table.implicit);
        let calls = sinks.map(|sink| &sink.call).chain(implicit.map(|one| &one.call));
        let mut words: Vec<String> = calls
            .filter(|call| !gate.lets(call.as_bytes()))
            .filter_map(|call| call.split(['.', ':', '/', '\\', '*']).max_by_key(|part| part.len()))
            .filter(|word| word.len() >= MIN_WORD_BYTES)
            .map(str::to_owned)
            .collect();
        words.sort_unstable();
        words.dedup();
        words
    }
}

fn all_pass(gate: &Gate, keywords: &[String]) -> bool {
    !keywords.is_empty() && keywords.iter().all(|keyword| gate.lets(keyword.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{Does, Source};

    #[test]
    fn wrappers_become_rules_of_their_language() {
        let wrapper = |function: &str, reaches| Wrapper {
            function: function.to_owned(),
            parameter: 1,
            keyword: Some("key".to_owned()),
            reaches,
        };
        let load = wrapper("setting", Reaches::Loader(Source::Environment));
        let sink = wrapper("seal", Reaches::Sink("jwt.encode".to_owned(), Does::Signs));
        let rules = Rules::default().with_wrappers("python", [&load, &sink]);
        let table = rules.of("python").next().unwrap();
        assert_eq!(table.sources.len(), 2);
        assert_eq!(table.sinks[1].call, "*.seal");
        assert_eq!(table.sinks[1].key, Some(1));
        assert_eq!(rules.of("ruby").count(), 0);
    }

    #[test]
    fn calls_without_a_word_of_the_gate_open_it_themselves() {
        let mut rules = Rules::default();
        rules
            .add(
                "[[table]]\nlanguage = \"python\"\n\
                 [[table.sink]]\ncall = \"acme.sealing.seal\"\nkey = 1\ndoes = \"signs\"\n\
                 [[table.sink]]\ncall = \"jwt.encode\"\nkey = 1\ndoes = \"signs\"\n\
                 [[table.sink]]\ncall = \"acme.start\"\nkeywords = [\"secret\"]\ndoes = \"signs\"\n",
            )
            .unwrap();
        let gate = Gate::new(false, []);
        assert_eq!(rules.words_beyond(&gate), ["sealing"]);
    }
}
