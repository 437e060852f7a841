//! Every bound of the program in one place, with assertions that relate them.
//!
//! Sizes are bytes unless the name says otherwise. What an operator may want to change is an option
//! of a service (see `config`); what stands here is what the design rests on.

use std::time::Duration;

/// The one buffer every read goes through. Measured: 4 KiB costs a factor of three at 16 KiB messages.
pub const READ_BUFFER: usize = 64 * 1024;
/// Output waiting for one connection from which on it is no longer read (back-pressure).
pub const OUT_HIGH_MARK: usize = 64 * 1024;
/// What a handler may leave unread in `Input` before its connection is given up: no handler may need more.
pub const PENDING_INPUT: usize = 256 * 1024;
/// Longest line of the line protocols that do not say otherwise.
pub const MAX_LINE: usize = 64 * 1024;
/// Longest request head (request line and all fields) of `http`.
pub const HTTP_HEAD: usize = 32 * 1024;
/// Longest target of a request of `http`.
pub const HTTP_TARGET: usize = 8 * 1024;
/// Longest body of a request that `http` reads, to drop it.
pub const HTTP_BODY: u64 = 1024 * 1024;
/// Files up to this size are read and sent from memory; longer ones are sent by the kernel.
pub const HTTP_SMALL_FILE: usize = 8 * 1024;
/// What `http` keeps in memory of files that were asked for lately.
pub const HTTP_CACHE_BYTES: usize = 8 * 1024 * 1024;
/// How many files that may be.
pub const HTTP_CACHE_ENTRIES: usize = 4096;
/// Descriptors of longer files that it keeps open; they are given up when descriptors run out.
pub const HTTP_CACHE_FILES: usize = 32;
/// How long what is kept of a file is trusted without looking at the disk: an edit shows on the next
/// request that a person can make, and a file costs a `stat` a second however often it is asked for.
pub const HTTP_CACHE_TRUST: Duration = Duration::from_secs(1);
/// Longest message over WebSocket, whatever an operator sets.
pub const WEBSOCKET_MESSAGE: usize = 16 * 1024 * 1024;
/// How long the peer of a WebSocket may take to answer a close frame.
pub const WEBSOCKET_CLOSE: Duration = Duration::from_secs(2);
/// Entries that a listing shows at the most; it says so when there are more.
pub const LISTING_ENTRIES: usize = 100_000;
/// Up to so many entries a listing is sent at once, with its length.
pub const LISTING_AT_ONCE: usize = 512;
/// What all listings of a site with more entries than that may hold together. One entry takes less than 50 bytes
/// with a name of a dozen; with the longest names there still is room for one listing of the most entries.
pub const LISTINGS_BYTES: usize = 64 * 1024 * 1024;
/// What all long work together may do in a turn: units of one or two microseconds, such as an entry of a directory
/// that is looked at, or a row that is made into text.
pub const LONG_WORK_PER_TURN: usize = 256;
/// The part of it that one connection gets at a time.
pub const LONG_WORK_PART: usize = 64;

/// What of a file comes together before the helper writes it.
pub const UPLOAD_CHUNK: usize = 256 * 1024;
/// How much of a file may wait in memory for the disk: then nobody, the sender of a large file included,
/// waits long for the last of it.
pub const UPLOAD_SYNC: u64 = 32 * 1024 * 1024;
/// What an upload may say before its first line end; no more than that is shown if there is none.
pub const UPLOAD_LINE: usize = 64 * 1024;

/// Longest line that `download` takes: a path of the kernel's, and a command before it.
pub const DOWNLOAD_LINE: usize = 4096 + 16;
/// What of a file the helper reads for a checksum before it turns to the next job.
pub const SUM_PER_JOB: u64 = 4 * 1024 * 1024;

/// What one connection may read in a turn of the reactor before the others get theirs.
pub const READ_PER_TURN: usize = 256 * 1024;
/// What one connection may send from a file in a turn while others wait.
pub const FILE_PER_TURN: usize = 256 * 1024;
/// The same while nobody else has anything to do.
pub const FILE_PER_TURN_ALONE: usize = 2 * 1024 * 1024;
/// Connections taken from one listener in a turn.
pub const ACCEPT_PER_TURN: usize = 256;
/// Datagrams read from one socket in a turn.
pub const DATAGRAMS_PER_TURN: usize = 256;
/// Members of chat rooms fed in a turn: a write costs about 4 us, so this is about 2 ms.
pub const FEED_PER_TURN: usize = 512;
/// What a chat room keeps of what was said, and the same in each form that its members hear.
pub const ROOM_LOG: usize = 256 * 1024;
/// What an entry weighs in a room's log beside its text: so that empty lines are bounded, too.
pub const ROOM_ENTRY: usize = 64;
/// Weight of what was said and has not been offered to every member, from which on speakers wait.
pub const ROOM_AHEAD: usize = 32 * 1024;
/// Chat rooms that members may open; those that services name do not count.
pub const ROOMS: usize = 256;
/// In a room of more members than this, those who come and go are gathered into one line.
pub const GATHER_OVER: usize = 64;
/// How long they are gathered.
pub const GATHER: Duration = Duration::from_secs(1);
/// How many of them that line names.
pub const ROOM_NAMES_SHOWN: usize = 8;
/// How long a member whose connection was lost may take to come back, and how many may be away like that.
pub const ROOM_ABSENCE: Duration = Duration::from_secs(30);
/// See [`ROOM_ABSENCE`].
pub const ROOM_ABSENT: usize = 1024;
/// Events taken from one poll.
pub const EVENTS_PER_POLL: usize = 1024;

/// Buffers kept for reuse, and the largest capacity of one that is kept.
pub const POOL_BOXES: usize = 64;
/// See [`POOL_BOXES`].
pub const POOL_CAPACITY: usize = 64 * 1024;

/// What buffers may hold altogether where others can connect and nothing else is set: 2000 slow readers with
/// all that may wait for each of them.
pub const BUFFERS_OPEN: usize = 256 * 1024 * 1024;
/// The least that may be set for it: a few connections must be able to do anything.
pub const BUFFERS_LEAST: usize = 4 * 1024 * 1024;

/// Descriptors left free below the process's limit, so that files can still be opened.
pub const SPARE_DESCRIPTORS: u64 = 64;
/// Descriptors that are no connections: stdin, stdout, stderr, the poll, its waker, the signals, a log.
pub const OWN_DESCRIPTORS: u64 = 10;
/// Connections for which addresses are set aside from the start. The kernel gives memory to what is used of
/// them; vectors that grow instead leave a hole behind with each doubling: see docs/performance.md.
pub const SLOTS_RESERVED: usize = 64 * 1024;
/// Sockets that the program may be started with.
pub const PASSED_SOCKETS: usize = 1024;
/// How long a process that is to take over may take to start.
pub const SUCCESSOR_START: Duration = Duration::from_secs(60);
/// How long a proxy may take to say whose connection it passes on, and how many of a listener may be waited for.
pub const PROXY_HEAD: Duration = Duration::from_secs(5);
/// See [`PROXY_HEAD`].
pub const PROXY_WAITING: usize = 256;
/// Connections the kernel may complete before they are accepted.
pub const BACKLOG: i32 = 4096;
/// How long accepting pauses when descriptors have run out and no connection closes.
pub const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Connections that are refused and being told why at once; beyond that they are just closed.
pub const REFUSED_AT_ONCE: usize = 256;

/// How long a closing connection waits for its peer to stop sending.
pub const LINGER: Duration = Duration::from_secs(2);
/// Kibibytes that a closing connection reads and drops meanwhile, so that the reply is not lost to a reset.
pub const LINGER_KIB: u16 = 1000;
/// How long a drain watches who is still sending before it tells the sessions: to close on a peer that is
/// would destroy what is on its way to it.
pub const DRAIN_WATCH: Duration = Duration::from_millis(100);
/// The same when another process has taken over: there is no hurry then, and who has connected to this one may
/// be slow to say what it wants.
pub const HANDOVER_WATCH: Duration = Duration::from_secs(1);
/// How long the end of the program waits for the answer to a datagram that is being made.
pub const LAST_DATAGRAM: Duration = Duration::from_millis(100);
/// How long the peer of a finished connection may take less than [`PROGRESS`] of what is owed to it.
pub const FINISH_PROGRESS: Duration = Duration::from_secs(60);
/// Bytes of a reply that a reader must take between two deadlines.
pub const PROGRESS: u64 = 1024;
/// How often a thread that is blocked in a write looks at the clock.
pub const BLOCKED_WRITE: Duration = Duration::from_millis(100);

/// Replies per second and source address over UDP, for sources off this machine.
pub const UDP_REPLIES_PER_SECOND: u32 = 100;
/// Source addresses remembered for that.
pub const UDP_SOURCES: usize = 4096;
/// Source ports below this are never answered: echo, chargen and friends would answer back for ever.
pub const UDP_MIN_SOURCE_PORT: u16 = 1024;
/// Largest payload of a datagram over IPv4.
pub const DATAGRAM: usize = 65_507;

/// Longest text taken from a datagram of a network's chat.
pub const LAN_TEXT: usize = 4096;
/// Datagrams a second that a chat service takes from its network, and sends there: far beyond what people
/// type, and little for a network on which everybody receives each of them.
pub const LAN_PER_SECOND: u32 = 100;

/// Lines of a journal are written at the end of a turn, or as soon as there are so many bytes of them.
pub const JOURNAL: usize = 1024 * 1024;
/// Longest line of the log; a pipe takes one of this length whole or not at all.
pub const LOG_LINE: usize = 4096;

const _: () = assert!(READ_BUFFER <= READ_PER_TURN);
const _: () = assert!(FILE_PER_TURN <= FILE_PER_TURN_ALONE);
const _: () = assert!((HTTP_CACHE_FILES as u64) < SPARE_DESCRIPTORS);
const _: () = assert!(HTTP_SMALL_FILE < HTTP_CACHE_BYTES / 4);
const _: () = assert!(LISTING_ENTRIES * (64 + 2 * 255) <= LISTINGS_BYTES);
const _: () = assert!(LONG_WORK_PART <= LONG_WORK_PER_TURN);
const _: () = assert!(DATAGRAM <= READ_BUFFER);
const _: () = assert!(MAX_LINE + READ_BUFFER <= PENDING_INPUT);
const _: () = assert!(UPLOAD_LINE + READ_BUFFER <= PENDING_INPUT);
const _: () = assert!(HTTP_HEAD + READ_BUFFER <= PENDING_INPUT);
const _: () = assert!(BUFFERS_LEAST >= 8 * (OUT_HIGH_MARK + PENDING_INPUT));
const _: () = assert!(2 * ROOM_AHEAD <= ROOM_LOG / 2);
const _: () = assert!(POOL_CAPACITY >= READ_BUFFER && POOL_CAPACITY <= OUT_HIGH_MARK);
