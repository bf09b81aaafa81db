// Tries Redis commands as the user of a URL: node users.mjs LIBRARY URL, a JSON list of word lists on stdin.
// Tells for each the error it met, or null, and the same of listening to the events as the example does.
import { text } from "node:stream/consumers";

const [library, url] = process.argv.slice(2);
const { open } = await import(`./with-${library}.mjs`);
const client = open(url);
const outcomes = [];
for (const words of JSON.parse(await text(process.stdin))) {
  outcomes.push(await client.raw(words).then(() => null, (error) => error.message));
}
const listened = await client.listen("pms:events:*", () => {}, () => {}).then(
  async (close) => (await close(), null),
  (error) => error.message,
);
await client.close();
console.log(JSON.stringify({ outcomes, listened }));
process.exit(); // a connection that was refused its subscription would keep us
