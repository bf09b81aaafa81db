// The six calls of pms.mjs with ioredis. Subscriptions need a connection of their own.
import Redis from "ioredis";

const tell = (error) => console.error(`Redis: ${error.message}`); // it goes on trying by itself

export function open(url, complain = tell) {
  const redis = new Redis(url);
  redis.on("error", complain);
  return {
    get: (key) => redis.get(key),
    hgetall: (key) => redis.hgetall(key),
    lpush: (key, text) => redis.lpush(key, text),
    xadd: (key, fields) => redis.xadd(key, "*", ...Object.entries(fields).flat()),
    last: async (key) => (await redis.xrevrange(key, "+", "-", "COUNT", 1))[0]?.[0] ?? null,
    range: async (key, after) =>
      (await redis.xrange(key, `(${after}`, "+", "COUNT", 1000)).map(([, [, event]]) => event),
    raw: (words) => redis.call(...words),
    close: async () => redis.disconnect(),

    listen: (pattern, hear, ready) =>
      new Promise((resolve, reject) => {
        const bell = redis.duplicate({ autoResubscribe: false });
        const close = async () => bell.removeAllListeners("pmessage").disconnect(); // what is still under way, too
        const subscribed = () => (ready(), resolve(close));
        bell.on("error", complain);
        bell.on("pmessage", (_pattern, _channel, text) => hear(text));
        bell.on("ready", () => bell.psubscribe(pattern).then(subscribed, reject));
      }),
  };
}
