pin, other_pin, so_pin = "1234-first", "1234-second", "so-1234"
