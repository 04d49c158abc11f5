"""Step 7, the loop: ask, map, reduce, tell, until every study is judged."""
