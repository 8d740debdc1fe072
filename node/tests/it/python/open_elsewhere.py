"""Two independent programs open the database with the plain passphrase; both read the same."""
import os

import apsw
import sqlcipher3

path, passphrase = os.environ["DB"], os.environ["PASSPHRASE"]
quoted = "'" + passphrase.replace("'", "''") + "'"
query = "SELECT body FROM versions ORDER BY seq"

cipher = sqlcipher3.connect(path)
cipher.execute(f"PRAGMA key = {quoted}")
first = cipher.execute(query).fetchall()
assert cipher.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
assert cipher.execute("PRAGMA cipher_integrity_check").fetchall() == []
hits = cipher.execute("SELECT rowid FROM memories_fts WHERE memories_fts MATCH 'lighthouse'").fetchall()
cipher.close()

multiple = apsw.Connection(path)
multiple.pragma("cipher", "sqlcipher")
multiple.pragma("legacy", 4)
multiple.pragma("key", passphrase)
second = multiple.execute(query).fetchall()
multiple.close()

assert first == second and len(first) == 1 and "lighthouse" in first[0][0], (first, second)
assert hits == [(1,)], hits
print("both open it")
