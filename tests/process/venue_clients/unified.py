"""The venue through ccxt's unified calls, as its reader would write it: URL, key and secret are the arguments."""

import json
import sys

import ccxt

url, key, secret = sys.argv[1:]
client = ccxt.binanceusdm({"apiKey": key, "secret": secret, "options": {"fetchCurrencies": False}})
client.urls["api"] = {
    name: address.replace("https://fapi.binance.com", url) for name, address in client.urls["api"].items()
}

symbol = "BTC/USDT:USDT"
client.load_markets()
bid = client.fetch_order_book(symbol, limit=5)["bids"][0][0]
client.set_leverage(5, symbol)
placed = client.create_order(symbol, "limit", "buy", 0.01, bid - 100, {"postOnly": True})
resting = client.fetch_open_orders(symbol)
amended = client.edit_order(placed["id"], symbol, "limit", "buy", 0.01, bid - 50)
cancelled = client.cancel_order(placed["id"], symbol)
filled = client.create_order(symbol, "market", "buy", 0.01, None, {"newOrderRespType": "RESULT"})
trades = client.fetch_my_trades(symbol)
(position,) = client.fetch_positions([symbol])

told = {
    "placed": [placed["info"]["status"], len(resting)],
    "amended": amended["price"] - placed["price"],
    "cancelled": cancelled["info"]["status"],
    "filled": [filled["info"]["status"], filled["filled"]],
    "trades": [[trade["order"] == filled["id"], trade["amount"]] for trade in trades],
    "position": position["contracts"],
}
print(json.dumps(told))
