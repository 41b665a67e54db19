"""Records out of Java projects: their tests, cut at each assertion, with the methods that they test."""
