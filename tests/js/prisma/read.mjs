// Reads what the writer writes, while it writes: node read.mjs URL LAST_SEQ. Prints one line of JSON.
import { createRequire } from "node:module";
import { PrismaPg } from "@prisma/adapter-pg";

const { PrismaClient } = createRequire(import.meta.url)("./generated");
const [connectionString, last] = process.argv.slice(2);
const prisma = new PrismaClient({ adapter: new PrismaPg({ connectionString }) });

const looks = [];
for (;;) {
  // One snapshot: what is applied and what is there must agree in every one of them.
  const [applied, newest, fills, filled] = await prisma.$transaction(
    [
      prisma.applied.findMany(),
      prisma.event.aggregate({ _max: { seq: true }, _count: true }),
      prisma.fill.aggregate({ _sum: { quantity: true }, _count: true }),
      prisma.order.aggregate({ _sum: { filledQty: true } }),
    ],
    { isolationLevel: "RepeatableRead" },
  );
  const look = {
    applied: String(applied[0]?.seq ?? 0),
    newest: String(newest._max.seq ?? 0),
    events: newest._count,
    fills: fills._count,
    quantity: String(fills._sum.quantity ?? 0),
    filled: String(filled._sum.filledQty ?? 0),
  };
  looks.push(look);
  if (Number(look.applied) >= Number(last)) break;
}
const order = await prisma.order.findUniqueOrThrow({ where: { clientOrderId: "pms-flood-7" } });
const [payload] = await prisma.event.findMany({ where: { type: "order_filled" }, orderBy: { seq: "asc" }, take: 1 });
console.log(
  JSON.stringify({
    looks,
    order: { price: order.price.toFixed(), commission: order.commission.toFixed(), state: order.state,
             placedAt: order.placedAt.getTime() },
    type: payload.payload.type,
  }),
);
await prisma.$disconnect();
