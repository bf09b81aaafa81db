// One client's session against a running daemon, with the library named: node session.mjs LIBRARY READ COMMAND ADMIN
// (URLs of the three users). Starts a chase through each door, loses its connection twice, and tells what it heard.
import { Chases, Events, byList, byStream } from "./pms.mjs";

const [library, readUrl, commandUrl, adminUrl] = process.argv.slice(2);
const { open } = await import(`./with-${library}.mjs`);
const [reader, commands, admin] = [readUrl, commandUrl, adminUrl].map((url) => open(url, () => {}));

const heard = [];
const waiting = new Set();
const chases = new Chases();
const events = new Events(reader, (event) => {
  heard.push(event);
  chases.apply(event);
  for (const look of waiting) look();
});

function until(holds) {
  return new Promise((resolve) => {
    const look = () => holds() && waiting.delete(look) && resolve();
    waiting.add(look);
    look();
  });
}
const told = (type, reply) => heard.some((event) => event.type === type && event.chaseId === reply.chaseId);
const follows = (reply) => chases.records.get(reply.chaseId)?.repriceCount > 0;

await events.start();
await chases.load(reader, "main");
const wish = { subAccountId: "main", symbol: "BTCUSDT", side: "BUY", quantity: "0.010", stalkOffsetPct: 1 };
const first = await byList(commands, reader, "chase", wish);
const second = await byStream(commands, reader, "chase", { ...wish, side: "SELL" });
await until(() => follows(first) && follows(second));

await events.stop(); // its connection is gone
const missedFrom = events.last;
const cancelled = await byList(commands, reader, "chase_cancel", { chaseId: first.chaseId });
while (Number((await reader.last("pms:stream:events")).split("-")[0]) < missedFrom + 5);
await events.start();
const recovered = events.recovered;
const resumed = told("chase_cancelled", first);

await admin.raw(["CLIENT", "KILL", "TYPE", "pubsub"]); // gone again, and not by its own doing
const ended = await byStream(commands, reader, "chase_cancel", { chaseId: second.chaseId });
await until(() => told("chase_cancelled", second));
await events.stop();
for (const client of [reader, commands, admin]) await client.close();

const replies = [first, second, cancelled, ended];
console.log(JSON.stringify({ replies, heard, missedFrom, recovered, resumed, records: [...chases.records.values()] }));
