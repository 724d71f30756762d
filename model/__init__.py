"""The recipe of the embedded model: build pairs from public dictionaries, train on the CPU, judge, write the card."""
