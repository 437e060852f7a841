// The chat page. What people say is put into the page as text and nowhere as markup.
"use strict";

const KEPT = 2000; // Messages that the page keeps; older ones are taken out.
const SILENCE = 15000; // Milliseconds without a word from the server while a line waits for its answer.
const BUFFERED = 32768; // Bytes handed to the browser that are not sent, from which on lines wait here.
const SMALL_ROOM = 64; // In larger rooms the list of members is asked for less often.

const $ = (id) => document.getElementById(id);
const [log, pendingList, scroll, form, text] = ["log", "pending", "scroll", "form", "text"].map($);
const utf8 = new TextEncoder();

// Who we are, and up to where we have heard. Token, epoch and sequence are what a reconnect presents.
const me = { name: localStorage.getItem("name") || "", you: 0, room: "", token: "", epoch: "", seq: 0, max: 4096 };
const pending = new Map(); // Lines that the server has not answered, by the number we gave them.
let nextId = 1;
let socket = null;
let joined = false; // The server has answered the first frame of this connection.
let over = false; // We have left on purpose.
let attempt = 0;
let retryTimer = 0, retryAt = 0, retryTick = 0, quietTimer = 0, whoTimer = 0, pumpTimer = 0;
let unread = 0, below = 0, count = 0;
let last = { from: -1, kind: "", minute: -1 };
const said = []; // What was typed, for the arrow keys.
let recall = -1;

// ---- The connection ----

function connect() {
  clearTimeout(retryTimer);
  clearInterval(retryTick);
  state("wait", attempt === 0 ? "Connecting" : "Connecting again");
  joined = false;
  const scheme = location.protocol === "https:" ? "wss://" : "ws://";
  const ws = new WebSocket(scheme + location.host + "/ws/chat");
  socket = ws;
  ws.onopen = () => {
    const join = { name: me.name || undefined, room: me.room || undefined };
    if (me.token) Object.assign(join, { token: me.token, epoch: me.epoch, seq: me.seq });
    ws.send(JSON.stringify({ join }));
    watch();
  };
  ws.onmessage = (event) => {
    if (socket !== ws) return;
    watch();
    receive(JSON.parse(event.data));
  };
  ws.onclose = (event) => {
    if (socket === ws) lost(event.code, event.reason);
  };
}

function lost(code, reason) {
  socket = null;
  joined = false;
  clearTimeout(quietTimer);
  for (const line of pending.values()) line.sent = false;
  if (over || code === 1000) {
    over = true;
    me.token = "";
    state("off", "You have left", "Join again");
    return;
  }
  // Not all pages of a class may come back in the same moment.
  const wait = Math.min(30000, 500 * 2 ** attempt) * (0.5 + Math.random() / 2);
  attempt += 1;
  retryAt = Date.now() + wait;
  retryTimer = setTimeout(connect, wait);
  const why = code === 1001 ? "The server has stopped" : reason && code !== 1006 ? `Closed: ${reason}` : "The connection is lost";
  const tell = () => {
    const seconds = Math.max(0, Math.round((retryAt - Date.now()) / 1000));
    state("off", seconds > 0 ? `${why}. Trying again in ${seconds} s` : `${why}. Trying again`, "Try now");
  };
  tell();
  clearInterval(retryTick);
  retryTick = setInterval(tell, 1000);
}

// Gives a connection up that has gone silent while it owes us an answer.
function watch() {
  clearTimeout(quietTimer);
  if (joined && pending.size === 0) return;
  quietTimer = setTimeout(() => {
    const ws = socket;
    if (!ws) return;
    lost(1006, "");
    ws.close();
  }, SILENCE);
}

function again() {
  if (socket) return;
  over = false;
  attempt = 0;
  connect();
}

function state(kind, words, button) {
  $("state").dataset.state = kind;
  $("state-text").textContent = words;
  $("now").hidden = !button;
  $("now").textContent = button || "";
}

// ---- What the server says ----

function receive(frame) {
  switch (frame.kind) {
    case "welcome": return welcome(frame);
    case "said": case "action": case "notice": case "private": return entry(frame);
    case "gap": return gap(frame.missed);
    case "reply": return reply(frame);
    case "refused": return refused(frame);
    case "members": return members(frame);
  }
}

function welcome(frame) {
  const isNewRun = me.epoch !== "" && frame.epoch !== me.epoch;
  const isSameRoom = me.room === frame.room;
  if (isNewRun) {
    divider("gap", "The server was started anew; what was said before is not known to it");
  } else if (frame.missed > 0 && isSameRoom) {
    gap(frame.missed);
  } else if (!frame.resumed && me.seq > 0 && isSameRoom && frame.seq > me.seq) {
    divider("gap", "You were away; messages may be missing here");
  }
  if (isNewRun || !isSameRoom) me.seq = 0;
  Object.assign(me, { you: frame.you, token: frame.token || "", epoch: frame.epoch, max: frame.max });
  place(frame);
  joined = true;
  attempt = 0;
  state("on", "Connected");
  // What the server has taken it does not get again; the log brings it, unless it has left the log.
  for (const line of [...pending.values()]) {
    if (line.id > frame.last) continue;
    line.taken = true;
    if (frame.missed > 0 || line.isCommand) settle(line);
  }
  pump();
  watch();
  askWho(0);
}

function place({ name, room }) {
  if (name) {
    me.name = name;
    $("my-name").textContent = name;
    $("me").style.setProperty("--h", hue(name));
  }
  if (room) {
    me.room = room;
    $("room").textContent = room;
  }
  title();
}

function entry(frame) {
  if (frame.seq <= me.seq) return;
  me.seq = frame.seq;
  const own = frame.from === me.you;
  // What one told somebody alone is shown with the answer, which names them.
  if (own && frame.kind === "private") return;
  if (own && frame.id && pending.has(frame.id)) drop(pending.get(frame.id));
  if (frame.kind === "notice") {
    append(note(frame.text, frame.time));
    askWho();
  } else {
    append(message(frame, own));
    if (!own) heard();
  }
}

function gap(missed) {
  divider("gap", missed === 1 ? "1 message was missed" : `${missed} messages were missed`);
  for (const line of [...pending.values()]) if (line.taken) settle(line);
}

function reply(frame) {
  const line = pending.get(frame.id);
  if (line) drop(line);
  if (frame.room && frame.room !== me.room) {
    me.seq = 0;
    last.from = -1;
  }
  const renamed = frame.name && frame.name !== me.name;
  place(frame);
  if (renamed && wanted) {
    localStorage.setItem("name", frame.name);
    if ($("dialog").open) $("dialog").close();
  } else if (wanted && $("dialog").open) {
    $("name-problem").textContent = plain(frame.text);
    wanted = "";
    return;
  }
  wanted = "";
  const told = line && /^\/msg\s+\S+\s+(.*)$/s.exec(line.text);
  if (told && /^\* told (\S+)$/.test(frame.text)) {
    const to = frame.text.slice(7);
    const node = message({ kind: "private", from: me.you, name: `to ${to} alone`, text: told[1], time: Date.now() }, true);
    node.style.setProperty("--h", hue(to));
    node.querySelector(".who").textContent = `To ${to} alone`;
    append(node);
  } else if (frame.text) {
    const node = note(frame.text.split("\n").map(plain).join("\n"));
    node.classList.add("reply");
    append(node);
  }
  askWho();
}

// A line to people on a terminal begins with a star.
function plain(line) {
  return line.startsWith("* ") ? line.slice(2) : line;
}

function refused(frame) {
  const line = pending.get(frame.id);
  if (!line) return;
  pending.delete(line.id);
  line.node.className = "m own failed first";
  const problem = document.createElement("p");
  problem.className = "problem";
  problem.textContent = `Not sent: ${frame.text}`;
  line.node.append(problem);
  append(line.node);
}

// ---- What we say ----

function send(words) {
  const isCommand = words.startsWith("/") || ["exit", "quit"].includes(words.trim());
  const line = { id: nextId++, text: words, sent: false, taken: false, isCommand };
  line.node = isCommand ? note(words) : message({ from: me.you, name: me.name, text: words, time: Date.now(), kind: "said" }, true);
  line.node.classList.add("sending");
  pending.set(line.id, line);
  pendingList.append(line.node);
  if (["exit", "quit", "/quit"].includes(words.trim())) over = true;
}

function pump() {
  clearTimeout(pumpTimer);
  if (!joined) return;
  for (const line of pending.values()) {
    if (line.sent || line.taken) continue;
    if (socket.bufferedAmount > BUFFERED) {
      pumpTimer = setTimeout(pump, 50);
      return;
    }
    socket.send(JSON.stringify({ id: line.id, text: line.text }));
    line.sent = true;
  }
}

function drop(line) {
  pending.delete(line.id);
  line.node.remove();
}

// Takes a line for said though it does not come back.
function settle(line) {
  drop(line);
  if (line.isCommand) return;
  line.node.classList.remove("sending");
  append(line.node);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const lines = text.value.split(/\r\n|\r|\n/).filter((line) => line.trim() !== "");
  if (lines.length === 0) return;
  const long = lines.find((line) => utf8.encode(line).length > me.max);
  if (long !== undefined) {
    hint(`A line may have ${me.max} bytes at the most; one has ${utf8.encode(long).length}.`);
    return;
  }
  if (over && !socket) again();
  lines.forEach(send);
  said.push(text.value);
  if (said.length > 100) said.shift();
  recall = said.length;
  text.value = "";
  grow();
  pump();
  watch();
  toEnd();
});

text.addEventListener("keydown", (event) => {
  if (event.isComposing) return;
  if (event.key === "Enter" && !event.shiftKey) {
    event.preventDefault();
    form.requestSubmit();
  } else if ((event.key === "ArrowUp" || event.key === "ArrowDown") && !text.value.includes("\n")) {
    const at = recall + (event.key === "ArrowUp" ? -1 : 1);
    if (at < 0 || at > said.length || (text.value !== "" && text.value !== said[recall])) return;
    event.preventDefault();
    recall = at;
    text.value = said[at] ?? "";
    grow();
  }
});

text.addEventListener("input", grow);

function grow() {
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight + 2}px`;
  const lines = text.value.split("\n").filter((line) => line.trim() !== "").length;
  hint(lines > 1 ? `${lines} lines: each is a message of its own.` : "");
}

function hint(words) {
  $("hint").textContent = words;
}

// ---- Lines of the page ----

// The same name has the same colour, on everybody's page.
function hue(name) {
  let hash = 2166136261;
  for (const byte of utf8.encode(name.toLowerCase())) hash = Math.imul(hash ^ byte, 16777619) >>> 0;
  return String(Math.imul(hash, 2654435769) >>> 16 & 0xffff) % 360;
}

function element(kind, name, words) {
  const node = document.createElement(kind);
  if (name) node.className = name;
  if (words !== undefined) node.textContent = words;
  return node;
}

function clock(ms) {
  const at = new Date(ms);
  const node = element("time", "", at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
  node.dateTime = at.toISOString();
  node.title = at.toLocaleString();
  return node;
}

function message(frame, own) {
  const node = element("li", `m ${frame.kind}${own ? " own" : ""}`);
  node.style.setProperty("--h", hue(frame.name));
  const who = frame.kind === "private" ? `${frame.name}, to you alone` : frame.name;
  const words = element("span", "text", frame.kind === "action" ? `${frame.name} ${frame.text}` : frame.text);
  words.dir = "auto";
  const body = element("div", "body");
  body.append(words, clock(frame.time));
  body.title = new Date(frame.time).toLocaleString();
  node.append(element("span", "who", own ? "You" : who), body);
  node.dataset.from = own ? "own" : `${frame.from} ${frame.name} ${frame.kind === "private"}`;
  node.dataset.minute = Math.floor(frame.time / 300000);
  return node;
}

function note(words, time) {
  const node = element("li", "note", words);
  if (time) node.title = new Date(time).toLocaleString();
  node.dataset.from = "";
  return node;
}

function divider(kind, words) {
  append(element("li", kind, words));
}

function append(node) {
  const before = log.lastElementChild;
  const isFirst = !before || before.dataset.from !== node.dataset.from || before.dataset.minute !== node.dataset.minute;
  node.classList.toggle("first", isFirst && node.classList.contains("m"));
  const wasAtEnd = isAtEnd();
  log.append(node);
  while (log.childElementCount > KEPT) log.firstElementChild.remove();
  $("empty").hidden = true;
  if (wasAtEnd) toEnd();
}

function isAtEnd() {
  return scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 60;
}

function toEnd() {
  scroll.scrollTop = scroll.scrollHeight;
  below = 0;
  $("newer").hidden = true;
}

scroll.addEventListener("scroll", () => {
  if (isAtEnd()) {
    below = 0;
    $("newer").hidden = true;
  }
});
$("newer").addEventListener("click", toEnd);
new ResizeObserver(() => { if (below === 0) toEnd(); }).observe(scroll);

// ---- What was not seen ----

function heard() {
  if (document.hidden || !document.hasFocus()) {
    if (unread === 0) {
      document.querySelector("li.fresh")?.remove();
      const line = element("li", "fresh", "New");
      log.insertBefore(line, log.lastElementChild);
      log.lastElementChild.classList.add("first");
    }
    unread += 1;
    title();
  }
  if (!isAtEnd()) {
    below += 1;
    $("newer").textContent = below === 1 ? "1 new message" : `${below} new messages`;
    $("newer").hidden = false;
  }
}

function seen() {
  if (document.hidden || !document.hasFocus()) return;
  unread = 0;
  title();
}

function title() {
  document.title = `${unread > 0 ? `(${unread}) ` : ""}${me.room || "Chat"} - switchboard`;
}

document.addEventListener("visibilitychange", seen);
window.addEventListener("focus", seen);

// ---- Members ----

function askWho(wait = count > SMALL_ROOM ? 10000 : 300) {
  if (whoTimer && wait > 0) return;
  clearTimeout(whoTimer);
  whoTimer = setTimeout(() => {
    whoTimer = 0;
    if (joined) socket.send(JSON.stringify({ who: true }));
  }, wait * (0.5 + Math.random() / 2));
}

function members(frame) {
  count = frame.count;
  $("count").textContent = count;
  $("people").setAttribute("aria-label", count === 1 ? "1 member" : `${count} members`);
  $("members-title").textContent = count === 1 ? "Here: you alone" : `Here: ${count}`;
  const rows = frame.names.map((name) => {
    const row = element("li", name === me.name ? "you" : "");
    row.style.setProperty("--h", hue(name));
    row.append(element("b", "", name));
    if (name === me.name) row.append(" ", element("small", "", "you"));
    row.querySelector("b").style.fontWeight = name === me.name ? "600" : "400";
    return row;
  });
  const more = count - frame.names.length;
  if (more > 0) rows.push(element("li", "more", `and ${more} more`));
  $("names").replaceChildren(...rows);
}

function showPeople(on) {
  document.body.classList.toggle("people", on);
  const isWide = matchMedia("(min-width: 52.01rem)").matches;
  document.body.classList.toggle("nobody", isWide && !on);
  $("people").setAttribute("aria-expanded", String(on));
}

$("people").addEventListener("click", () => showPeople(!document.body.classList.contains("people")));
scroll.addEventListener("click", () => { if (matchMedia("(max-width: 52rem)").matches) showPeople(false); });
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && matchMedia("(max-width: 52rem)").matches) showPeople(false);
});

// ---- The name ----

let wanted = "";

$("me").addEventListener("click", () => {
  $("name").value = me.name;
  $("name-problem").textContent = "";
  $("dialog").showModal();
  $("name").select();
});
$("cancel").addEventListener("click", () => $("dialog").close());
$("name-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = $("name").value.trim();
  if (name === me.name || name === "") return $("dialog").close();
  if (/\s/.test(name)) {
    $("name-problem").textContent = "A name is one word.";
    return;
  }
  wanted = name;
  send(`/nick ${name}`);
  pump();
  watch();
});

$("now").addEventListener("click", again);
window.addEventListener("online", () => { if (!over) again(); });
document.addEventListener("visibilitychange", () => { if (!document.hidden && !over) again(); });
window.addEventListener("pagehide", () => { if (socket) socket.close(); });
window.addEventListener("pageshow", (event) => { if (event.persisted && !over) again(); });

showPeople(matchMedia("(min-width: 52.01rem)").matches);
$("empty").hidden = false;
title();
connect();
