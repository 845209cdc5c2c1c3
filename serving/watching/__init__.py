"""A worker's side: load what is posted, swap it in, and know how fresh it is."""
