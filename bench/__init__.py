"""Side by side with the peers, ratios of medians in one run; never absolute promises."""
