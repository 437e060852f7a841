//! What is made from the rows of the table, by one macro: the enums that must name every protocol.

/// Makes `Kind`, `Session`, `Options` and `TABLE` from the rows. Behind them stand the handlers that a
/// connection may become later, with which no service begins.
macro_rules! protocols {
    ($($variant:ident($handler:ty): {
        name: $name:literal, port: $port:literal, well_known: $well_known:expr, transport: $transport:ident,
        does: $does:literal, source: $source:literal, try_it: $try_it:literal,
        $(rooms: $rooms:literal,)?
        $(together: $together:literal,)?
        $(off: $off:literal,)?
    })*
    => { $($(#[$about:meta])* $later:ident($later_handler:ty),)* }) => {
        /// All protocols, in the order in which they are listed.
        pub static TABLE: &[Row] = &[$(Row {
            kind: Kind::$variant, name: $name, port: $port, well_known: $well_known,
            transport: Transport::$transport,
            does: $does, source: $source, try_it: $try_it, rooms: false $(|| $rooms)?,
            together: concat!("" $(, $together)?), off: false $(|| $off)?,
        }),*];

        /// Names a protocol.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub enum Kind { $($variant),* }

        /// One connection's state machine, whatever it speaks. An enum, so that the state lies in the
        /// connection's slot.
        #[derive(Debug)]
        #[allow(missing_docs)]
        pub enum Session {
            $($variant($handler),)*
            $($(#[$about])* $later($later_handler),)*
            /// A handler made up by a test.
            #[cfg(test)]
            Probe(Box<Box<dyn Probe>>),
        }

        impl Session {
            /// The handler, whichever it is.
            pub fn handler(&mut self) -> &mut dyn Handler {
                match self {
                    $(Self::$variant(handler) => handler,)*
                    $(Self::$later(handler) => handler,)*
                    #[cfg(test)]
                    Self::Probe(handler) => &mut ***handler,
                }
            }

            /// [`Handler::holds`] of the handler.
            pub fn holds(&self) -> usize {
                match self {
                    $(Self::$variant(handler) => handler.holds(),)*
                    $(Self::$later(handler) => handler.holds(),)*
                    #[cfg(test)]
                    Self::Probe(handler) => handler.holds(),
                }
            }

            /// [`Handler::member`] of the handler.
            pub fn member(&self) -> Option<MemberId> {
                match self {
                    $(Self::$variant(handler) => handler.member(),)*
                    $(Self::$later(handler) => handler.member(),)*
                    #[cfg(test)]
                    Self::Probe(handler) => handler.member(),
                }
            }
        }

        /// The options of one service.
        #[derive(Debug, Clone)]
        #[allow(missing_docs)]
        pub enum Options { $($variant(Arc<<$handler as Protocol>::Options>)),* }

        impl Options {
            /// Reads the options of a protocol from a table of TOML; what is absent takes its default.
            ///
            /// # Errors
            /// An unknown key, or a value that does not fit.
            pub fn parse(kind: Kind, table: toml::Table) -> Result<Self, toml::de::Error> {
                Ok(match kind {
                    $(Kind::$variant => Self::$variant(Arc::new(table.try_into()?)),)*
                })
            }

            /// Makes sure that what the options name is there: see [`Protocol::prepare`].
            ///
            /// # Errors
            /// What is wrong, in a few words.
            pub fn prepare(&self) -> Result<(), String> {
                match self {
                    $(Self::$variant(options) => <$handler as Protocol>::prepare(options),)*
                }
            }

            /// See [`Protocol::private`].
            pub fn private(&self) -> Option<&Path> {
                match self {
                    $(Self::$variant(options) => <$handler as Protocol>::private(options),)*
                }
            }

            /// See [`Protocol::keep_out`].
            pub fn keep_out(&self, private: &[PathBuf]) {
                match self {
                    $(Self::$variant(options) => <$handler as Protocol>::keep_out(options, private),)*
                }
            }

            /// See [`Protocol::is_once`].
            pub fn is_once(&self) -> bool {
                match self {
                    $(Self::$variant(options) => <$handler as Protocol>::is_once(options),)*
                }
            }

            /// See [`Protocol::takes_banner`].
            pub fn takes_banner(&self) -> bool {
                match self {
                    $(Self::$variant(_) => <$handler as Protocol>::takes_banner(),)*
                }
            }

            /// See [`Protocol::does`].
            pub fn does(&self) -> Option<&'static str> {
                match self {
                    $(Self::$variant(options) => <$handler as Protocol>::does(options),)*
                }
            }

            /// The network that it speaks to, if it does: see [`Protocol::network`].
            pub fn network(&self) -> Place {
                match self {
                    $(Self::$variant(options) => <$handler as Protocol>::network(options),)*
                }
            }

            /// The state machine of a new connection.
            pub fn session(&self) -> Session {
                match self {
                    $(Self::$variant(options) => Session::$variant(Protocol::new(options)),)*
                }
            }
        }
    };
}

pub(super) use protocols;
