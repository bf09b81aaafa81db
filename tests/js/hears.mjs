// Listens with the library named through whatever happens to its Redis: node hears.mjs LIBRARY READ
// For each line on stdin it tells all that it has heard so far, on one line of stdout.
import { createInterface } from "node:readline";
import { Events } from "./pms.mjs";

const [library, readUrl] = process.argv.slice(2);
const { open } = await import(`./with-${library}.mjs`);
const quiet = () => {}; // a Redis that is away is what this is about
const reader = open(readUrl, quiet);

const heard = [];
const events = new Events(reader, (event) => heard.push(event), quiet);
await events.start();
for await (const _ of createInterface({ input: process.stdin })) console.log(JSON.stringify(heard));
await events.stop();
await reader.close();
