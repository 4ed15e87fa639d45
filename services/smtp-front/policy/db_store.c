#include "db_priv.h"

#include <stdio.h>
#include <stdlib.h>

#define DB_MAIL_COLUMNS                                                                            \
	"SELECT msgs.partition_tag AS partition_tag, mail_id, secret_id, am_id, time_num, "        \
	"content,"                                                                                 \
	" size, spam_level, subject, email FROM msgs LEFT JOIN maddr ON msgs.sid=maddr.id"

/* "?" for a value; NULL: as the first. */
static const char *const texts[DB_STATEMENT_COUNT][DB_SYNTAX_COUNT] = {
	[DB_BEGIN] = { "BEGIN", "START TRANSACTION", "BEGIN IMMEDIATE" },
	[DB_COMMIT] = { "COMMIT" },
	[DB_ADDRESS_PUT] = { "INSERT INTO maddr (partition_tag, email, domain) VALUES (?,?,?)"
			     " ON CONFLICT DO NOTHING",
		"INSERT IGNORE INTO maddr (partition_tag, email, domain) VALUES (?,?,?)",
		"INSERT OR IGNORE INTO maddr (partition_tag, email, domain) VALUES (?,?,?)" },
	[DB_ADDRESS_GET] = { "SELECT id FROM maddr WHERE partition_tag=? AND email=?" },
	[DB_MAIL_PUT] = { "INSERT INTO msgs (partition_tag, mail_id, secret_id, am_id, time_num,"
			  " time_iso, sid, policy, client_addr, size, originating, content,"
			  " quar_type, quar_loc, spam_level, message_id, from_addr, subject, host)"
			  " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)" },
	[DB_RCPT_PUT] = { "INSERT INTO msgrcpt (partition_tag, mail_id, rseqnum, rid, is_local,"
			  " content, ds, rs, bl, wl, bspam_level) VALUES (?,?,?,?,?,?,?,?,?,?,?)" },
	[DB_CHUNK_PUT] = { "INSERT INTO quarantine (partition_tag, mail_id, chunk_ind, mail_text)"
			   " VALUES (?,?,?,?)" },
	/* amavisd has rows of msgs for every mail: Q are those whose octets are here, too. */
	[DB_MAIL_GET] = { DB_MAIL_COLUMNS " WHERE mail_id=? AND quar_type='Q'" },
	[DB_MAILS_GET] = { DB_MAIL_COLUMNS " WHERE quar_type='Q' AND time_num>=? AND time_num<?"
					   " ORDER BY time_num DESC LIMIT ? OFFSET ?" },
	[DB_MAILS_GET_OLDEST] = { DB_MAIL_COLUMNS
		" WHERE quar_type='Q' AND time_num>=? AND time_num<?"
		" ORDER BY time_num LIMIT ? OFFSET ?" },
	[DB_RCPTS_GET] = { "SELECT email, ds, rs FROM msgrcpt JOIN maddr ON msgrcpt.rid=maddr.id"
			   " WHERE msgrcpt.partition_tag=? AND mail_id=? ORDER BY rseqnum"
			   " LIMIT 1000" },
	[DB_CHUNK_COUNT] = { "SELECT count(*) AS chunks FROM quarantine"
			     " WHERE partition_tag=? AND mail_id=?" },
	[DB_CHUNK_GET] = { "SELECT mail_text FROM quarantine"
			   " WHERE partition_tag=? AND mail_id=? AND chunk_ind=?" },
	[DB_RCPT_RELEASED] = { "UPDATE msgrcpt SET rs='R' WHERE partition_tag=? AND mail_id=? AND"
			       " rid=(SELECT id FROM maddr WHERE partition_tag=? AND email=?)" },
	[DB_CHUNKS_DROP] = { "DELETE FROM quarantine WHERE partition_tag=? AND mail_id=?" },
	[DB_RCPTS_DROP] = { "DELETE FROM msgrcpt WHERE partition_tag=? AND mail_id=?" },
	[DB_MAIL_DROP] = { "DELETE FROM msgs WHERE partition_tag=? AND mail_id=?" },
};

const char *db_statement_text(enum db_statement id, enum db_syntax syntax)
{
	return texts[id][syntax] != NULL ? texts[id][syntax] : texts[id][0];
}

enum mw_rc db_run(struct db_session *s, enum db_statement id, const struct db_value *values,
	size_t count, struct db_records *records)
{
	if (db_limit_over(s->limit))
		return mw_fail(s->err_r, MW_ERR_TIMEOUT, "the time is up");
	return s->backend->execute(s->conn, id, values, count, records, s->limit, s->err_r);
}

struct mw_err *db_session_err(struct db_session *s)
{
	return s->err_r;
}

bool db_session_is_exclusive(const struct db_session *s)
{
	return s->backend->syntax == DB_SYNTAX_SQLITE;
}

enum mw_rc db_store_settings_check(const struct mw_conf *conf, bool needed, struct mw_err *err_r)
{
	struct db_conf *c = NULL;
	enum mw_rc rc = db_store_conf_new(conf, &c, err_r);

	if (rc == MW_OK && needed && c->sources[DB_SQL].count == 0)
		rc = mw_fail(err_r, MW_ERR_CONF,
			"a *_quarantine_method is \"sql:\", and storage_sql_dsn names no database");
	db_conf_unref(&c);
	return rc;
}

enum mw_rc db_store_do(struct db *db, struct db_work *w, uint64_t wait_ms,
	void (*done)(
		void *arg, enum mw_rc rc, struct db_records *const *answers, const char *error),
	void *arg, struct db_request **request_r)
{
	const struct db_ask ask = { .wait_ms = wait_ms, .done = done, .arg = arg };

	if (db == NULL || !db_enabled(db)) {
		w->destroy(w);
		return MW_ERR_GONE;
	}
	return db_enqueue_work(db, &ask, w, request_r);
}
