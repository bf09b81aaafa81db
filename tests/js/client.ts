// Compiled by test_types.py with `tsc --strict`: what a client may write, and what it may not.
import type { Command, CommandResultOf, ErrorCode, PmsEvent, PmsKeys, PmsRecords, Reply } from "./pms.js";

export function told(event: PmsEvent): string {
  switch (event.type) {
    case "order_filled":
    case "order_partial":
      return `${event.clientOrderId} at ${event.avgFillPrice.toFixed(2)}`;
    case "chase_progress":
      return `${event.chaseId} amended ${event.repriceCount} times`;
    case "scalper_filled":
      return `layer ${event.layerIdx}`;
    case "seq_jump":
      return `${event.from} to ${event.to}`;
    case "chase_started":
      // @ts-expect-error a chase has no tradeId
      return event.tradeId;
    default:
      return event.type;
  }
}

export const chase: Command = {
  type: "chase",
  requestId: "r-1",
  subAccountId: "main",
  symbol: "BTCUSDT",
  side: "BUY",
  quantity: "0.010",
  stalkMode: "trail",
};
// @ts-expect-error a limit order needs a price
export const priceless: Command = { type: "limit", symbol: "BTCUSDT", side: "BUY", quantity: 1 };
// @ts-expect-error there is no such command
export const unheard: Command = { type: "sell_everything" };
// @ts-expect-error a word that no mode has
export const mode: Command = { type: "chase", symbol: "BTCUSDT", side: "BUY", quantity: 1, stalkMode: "wander" };

export const order: PmsKeys["order"] = "pms:order:c-1";
export const second: PmsKeys<"two">["activeChase"] = "two:active_chase:main";
// @ts-expect-error another namespace
export const theirs: PmsKeys["order"] = "two:order:c-1";

export function outcome(reply: Reply<"chase">): string {
  if (reply.success) return reply.chaseId;
  const code: ErrorCode = reply.errorCode;
  return `${code}: ${reply.error}`;
}
export function followed(result: CommandResultOf<"chase">): string {
  return result.success ? result.chaseId : result.errorCode;
}
export const mid = (price: PmsRecords["price"]): number => (price.bid + price.ask) / 2;
export const resting = (record: PmsRecords["order"]): boolean => record.state === "active" && record.filledQty === 0;
