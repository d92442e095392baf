"""One file for each sort of thing behind a descriptor, sockets excepted, and for what any open file has beside."""
