"""Step 3, ask: one module per search method."""

from foldwise.search.base import Asker, ListedAsker, Search
from foldwise.search.grid import GridSearch
from foldwise.search.methods import METHODS, OPTIONS, make_search
from foldwise.search.random import RandomSearch

__all__ = ["METHODS", "OPTIONS", "Asker", "GridSearch", "ListedAsker", "RandomSearch", "Search", "make_search"]
