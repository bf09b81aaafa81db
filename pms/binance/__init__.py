"""The Binance USD-M adapter behind the venue port: wire, REST, streams."""
