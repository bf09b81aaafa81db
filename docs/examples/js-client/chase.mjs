// Start a chase and follow it to its end:
//   npm ci && PMS_REDIS_URL=$(cat ../../../.pms/redis.url) node chase.mjs BTCUSDT BUY 0.01
// Another library: import { open } from "./with-redis.mjs".
import { Events, byStream } from "./pms.mjs";
import { open } from "./with-ioredis.mjs";

const [symbol, side, quantity] = process.argv.slice(2);
const redis = open(process.env.PMS_REDIS_URL);
const early = [];
let chaseId = "";

const events = new Events(redis, (event) => (chaseId ? show(event) : early.push(event)));
await events.start(); // before the command, so that its first events are heard
const reply = await byStream(redis, redis, "chase", { subAccountId: "main", symbol, side, quantity });
if (!reply.success) {
  console.error(`${reply.errorCode}: ${reply.error}`);
  process.exit(1);
}
chaseId = reply.chaseId;
early.forEach(show);

function show(event) {
  if (event.chaseId !== chaseId) return;
  const { status, filledQuantity, currentOrderPrice, repriceCount, reason = "" } = event;
  console.log(`${event.type} ${filledQuantity}/${quantity} at ${currentOrderPrice}, amended ${repriceCount}× ${reason}`);
  if (["filled", "cancelled", "failed"].includes(status)) process.exit(status === "filled" ? 0 : 1);
}
