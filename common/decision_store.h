/* Where the logger keeps mail records and `mailweir explain MAIL_ID` finds them: one SQLite file
 * for each logger, DECISIONS_FILE with its instance in logger.state_dir. */
#ifndef MW_DECISION_STORE_H
#define MW_DECISION_STORE_H

#define MW_DECISIONS_FILE "decisions-%s.sqlite"
#define MW_DECISIONS_PATTERN "decisions-*.sqlite"

#define MW_DECISIONS_SCHEMA                                                                        \
	"PRAGMA journal_mode=WAL;"                                                                 \
	"PRAGMA synchronous=NORMAL;" /* the file stays whole; a power cut may take the last ones   \
				      */                                                           \
	"CREATE TABLE IF NOT EXISTS decision ("                                                    \
	" id INTEGER PRIMARY KEY AUTOINCREMENT, mail_id TEXT NOT NULL, message_id TEXT NOT NULL,"  \
	" time_ms INTEGER NOT NULL, incarnation INTEGER NOT NULL, sequence INTEGER NOT NULL,"      \
	" record BLOB NOT NULL, UNIQUE (incarnation, sequence));"                                  \
	"CREATE INDEX IF NOT EXISTS decision_mail_id ON decision (mail_id);"                       \
	"CREATE INDEX IF NOT EXISTS decision_message_id ON decision (message_id);"

/* A record that comes again, after a restart, is the same one. */
#define MW_DECISIONS_INSERT                                                                        \
	"INSERT OR IGNORE INTO decision"                                                           \
	" (mail_id, message_id, time_ms, incarnation, sequence, record) VALUES "                   \
	"(?1,?2,?3,?4,?5,?6)"

/* Of the ?3 oldest those that are older than ?1, or beyond the ?2 latest, or all where ?4 is true.
 * They lie in the order of their coming, so no more than these are looked at. */
#define MW_DECISIONS_SWEEP                                                                         \
	"DELETE FROM decision WHERE id IN (SELECT id FROM decision ORDER BY id LIMIT ?3)"          \
	" AND (?4 OR time_ms < ?1 OR id <= (SELECT max(id) FROM decision) - ?2)"

/* Octets of the records and their indexes, without the room that deleted ones have left. */
#define MW_DECISIONS_OCTETS                                                                        \
	"SELECT (page_count - freelist_count) * page_size FROM pragma_page_count(),"               \
	" pragma_freelist_count(), pragma_page_size()"

/* By mail_id or Message-ID, the latest first. ?2: so many. */
#define MW_DECISIONS_FIND                                                                          \
	"SELECT record FROM decision WHERE mail_id = ?1 OR message_id = ?1"                        \
	" ORDER BY id DESC LIMIT ?2"

#endif
