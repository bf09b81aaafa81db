"""The venue through binance-futures-connector, as its reader would write it: URL, key and secret are the arguments."""

import json
import sys

from binance.um_futures import UMFutures

url, key, secret = sys.argv[1:]
client = UMFutures(key, secret, base_url=url)

bid = float(client.depth("BTCUSDT", limit=5)["bids"][0][0])
client.change_leverage(symbol="BTCUSDT", leverage=5)
limit = {"symbol": "BTCUSDT", "side": "BUY", "quantity": 0.01}
placed = client.new_order(**limit, type="LIMIT", timeInForce="GTX", price=round(bid - 100, 1))
resting = client.get_orders(symbol="BTCUSDT")
amended = client.modify_order(**limit, orderId=placed["orderId"], price=round(bid - 50, 1))
cancelled = client.cancel_order("BTCUSDT", orderId=placed["orderId"])
filled = client.new_order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity=0.01, newOrderRespType="RESULT")
trades = client.get_account_trades(symbol="BTCUSDT")
(position,) = [row for row in client.get_position_risk(symbol="BTCUSDT") if float(row["positionAmt"])]

told = {
    "placed": [placed["status"], len(resting)],
    "amended": float(amended["price"]) - float(placed["price"]),
    "cancelled": cancelled["status"],
    "filled": [filled["status"], float(filled["executedQty"])],
    "trades": [[trade["orderId"] == filled["orderId"], float(trade["qty"])] for trade in trades],
    "position": float(position["positionAmt"]),
}
print(json.dumps(told))
