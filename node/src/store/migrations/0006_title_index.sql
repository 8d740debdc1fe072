-- The words of the titles once more, alone: a search for a word that is in very many texts looks
-- here for the few memories that have it in their title, instead of through all of its places.
CREATE VIRTUAL TABLE titles_fts USING fts5 (
    title,
    content = '', contentless_delete = 1,
    tokenize = 'unicode61 remove_diacritics 2'
);
INSERT INTO titles_fts (rowid, title)
SELECT m.rowid, v.body ->> '$.title'
FROM memories AS m JOIN versions AS v ON v.seq = m.version_seq ORDER BY m.rowid;

-- Sixteen pieces of an index before they are merged, not four: half of the merging is spared, and
-- a search looks into some more pieces.
INSERT INTO memories_fts (memories_fts, rank) VALUES ('automerge', 16);
INSERT INTO titles_fts (titles_fts, rank) VALUES ('automerge', 16);
