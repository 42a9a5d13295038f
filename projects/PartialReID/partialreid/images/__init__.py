"""Images as data sets and transforms share them: lists, reading, things that hide a person."""
