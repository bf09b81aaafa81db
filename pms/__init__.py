"""pms: an order-management daemon for Binance USD-M futures, with Redis as its whole interface."""
