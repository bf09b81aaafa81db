// The six calls of pms.mjs with redis (node-redis). Subscriptions get a connection of their own here, too.
import { createClient } from "redis";

const tell = (error) => console.error(`Redis: ${error.message}`); // it goes on trying by itself

export function open(url, complain = tell) {
  const client = createClient({ url }).on("error", complain);
  const connected = client.connect();
  const call = async (work) => work(await connected);
  return {
    get: (key) => call((redis) => redis.get(key)),
    hgetall: (key) => call((redis) => redis.hGetAll(key)),
    lpush: (key, text) => call((redis) => redis.lPush(key, text)),
    xadd: (key, fields) => call((redis) => redis.xAdd(key, "*", fields)),
    last: (key) => call(async (redis) => (await redis.xRevRange(key, "+", "-", { COUNT: 1 }))[0]?.id ?? null),
    range: (key, after) =>
      call(async (redis) =>
        (await redis.xRange(key, `(${after}`, "+", { COUNT: 1000 })).map((entry) => entry.message.event),
      ),
    raw: (words) => call((redis) => redis.sendCommand(words)),
    close: async () => (await connected).destroy(),

    async listen(pattern, hear, ready) {
      const bell = client.duplicate().on("error", complain);
      await bell.connect();
      await bell.pSubscribe(pattern, hear);
      bell.on("ready", ready); // after a lost connection: subscribed again by then
      ready();
      return async () => bell.destroy();
    },
  };
}
