// A client of the daemon that loses nothing, on any Redis library: commands in by both doors, events out without a hole.
//
// It needs six calls of a library, given by with-ioredis.mjs and with-redis.mjs:
//   get(key) · hgetall(key) · lpush(key, text) · xadd(key, fields) · last(key) → id or null
//   range(key, after) → up to 1000 events after that id, oldest first
//   listen(pattern, hear, ready) → close, once subscribed: `hear` gets each message, `ready` is called then and whenever
//     the subscription stands again
import { setTimeout as pause } from "node:timers/promises";

const EVENTS = "pms:stream:events";
const CHANNELS = "pms:events:*"; // an ACL allows this pattern literally, and no narrower one
const REPLY_MS = 3000;

let sent = 0;
const newId = () => `js-${process.pid}-${Date.now()}-${++sent}`;

// Each command carries an id of ours, so that sending it twice executes it once, and the time it was meant.
const prepared = (body) => ({ requestId: newId(), issuedAt: Date.now(), ...body });

/** Send through the stream (at least once) and wait for the reply. */
export async function byStream(commands, reader, type, body) {
  const told = prepared(body);
  await commands.xadd("pms:commands", { type, body: JSON.stringify(told) });
  return reply(reader, told.requestId);
}

/** Send through the list of the type (what older gateways do) and wait for the reply. */
export async function byList(commands, reader, type, body) {
  const told = prepared(body);
  await commands.lpush(`pms:cmd:${type}`, JSON.stringify(told));
  return reply(reader, told.requestId);
}

async function reply(reader, requestId) {
  for (const end = Date.now() + REPLY_MS; Date.now() < end; await pause(20)) {
    const raw = await reader.get(`pms:result:${requestId}`);
    if (raw) return JSON.parse(raw);
  }
  throw new Error(`no reply to ${requestId}: it may have been executed. Send it again with the same requestId.`);
}

/**
 * Every event from now on, once and in order, through any number of lost connections.
 *
 * Pub/sub is the bell and the stream is the truth: whenever the bell is found to have missed one (a hole in `seq`) or
 * has just been connected, what is missing is read from the stream.
 */
export class Events {
  #reader;
  #hear;
  #complain;
  #working = Promise.resolve();
  #close = async () => {};
  last = 0; // seq of the newest event that was handed on
  recovered = 0; // how many came from the stream because the bell had missed them

  constructor(reader, hear, complain = console.error) {
    this.#reader = reader;
    this.#hear = hear;
    this.#complain = complain;
  }

  /** Subscribe, again after `stop` too. Returns once events flow; what came meanwhile has been handed on. */
  async start() {
    if (!this.last) this.last = Number((await this.#reader.last(EVENTS))?.split("-")[0] ?? 0);
    const hear = (text) => this.#after(() => this.#take(JSON.parse(text)));
    const ready = () => this.#after(() => this.#catchUp());
    this.#close = await this.#reader.listen(CHANNELS, hear, ready);
    await this.#working;
  }

  async stop() {
    await this.#close();
    await this.#working;
  }

  // One after the other, so that what the stream gives and what the bell says never mix. A catch-up that failed is done
  // again at the next event, which finds the hole still there.
  #after(work) {
    this.#working = this.#working.then(work).catch(this.#complain);
  }

  async #take(event) {
    if (event.seq > this.last + 1) await this.#catchUp();
    if (event.seq === this.last + 1) this.#pass(event); // otherwise it was handed on already
  }

  async #catchUp() {
    for (let page; (page = await this.#reader.range(EVENTS, `${this.last}-0`)).length; ) {
      for (const text of page) {
        const event = JSON.parse(text);
        // A seq_jump, or a stream trimmed past us: what a screen shows is to be read again from its keys.
        if (event.seq !== this.last + 1) this.#hear({ type: "reload", from: this.last, to: event.seq });
        this.#pass(event);
        this.recovered += 1;
      }
    }
  }

  #pass(event) {
    this.last = event.seq;
    this.#hear(event);
  }
}

/**
 * The running chases of a sub-account, as a screen shows them: read from their key once, then kept by events.
 * Start `events` first: what the events change before the key is read, the records' own `seq` sorts out.
 */
export class Chases {
  records = new Map();

  async load(reader, subAccountId) {
    for (const raw of Object.values(await reader.hgetall(`pms:active_chase:${subAccountId}`))) {
      this.#keep(JSON.parse(raw));
    }
  }

  apply(event) {
    if (event.type.startsWith("chase_")) this.#keep(event);
  }

  #keep(record) {
    const known = this.records.get(record.chaseId);
    if (!known || record.seq > known.seq) this.records.set(record.chaseId, { ...known, ...record });
  }
}
