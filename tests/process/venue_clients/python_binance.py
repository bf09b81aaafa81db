"""The venue through python-binance, as its reader would write it: URL, key and secret are the arguments."""

import json
import sys

from binance.client import Client

url, key, secret = sys.argv[1:]
client = Client(key, secret, ping=False)
client.FUTURES_URL = f"{url}/fapi"

bid = float(client.futures_order_book(symbol="BTCUSDT", limit=5)["bids"][0][0])
client.futures_change_leverage(symbol="BTCUSDT", leverage=5)
limit = {"symbol": "BTCUSDT", "side": "BUY", "quantity": 0.01}
placed = client.futures_create_order(**limit, type="LIMIT", timeInForce="GTX", price=round(bid - 100, 1))
resting = client.futures_get_open_orders(symbol="BTCUSDT")
amended = client.futures_modify_order(**limit, orderId=placed["orderId"], price=round(bid - 50, 1))
cancelled = client.futures_cancel_order(symbol="BTCUSDT", orderId=placed["orderId"])
market = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": 0.01}
filled = client.futures_create_order(**market, newOrderRespType="RESULT")
trades = client.futures_account_trades(symbol="BTCUSDT")
(position,) = [row for row in client.futures_position_information(symbol="BTCUSDT") if float(row["positionAmt"])]
client.close_connection()

told = {
    "placed": [placed["status"], len(resting)],
    "amended": float(amended["price"]) - float(placed["price"]),
    "cancelled": cancelled["status"],
    "filled": [filled["status"], float(filled["executedQty"])],
    "trades": [[trade["orderId"] == filled["orderId"], float(trade["qty"])] for trade in trades],
    "position": float(position["positionAmt"]),
}
print(json.dumps(told))
