"""A Binance USD-M compatible exchange: matching, accounts, REST and the three WebSocket routes, feeds and faults."""
