-- Without keys nothing is signed, old tags go, and mail goes on; the log has said so at start
--: tag-keys =
--: [rule.any]
--: client = 203.0.113.80
--: quota = ignore
dofile(PRELUDE)
local conn = dial()
mail(conn, "w1", "<a@example.org>")
rcpt(conn, "<bob@store.test>")
headers(conn, {{"Message-ID", "<1@a>"}, {TAG, "old"}})
holds("accepted", finish(conn) == CONT, mt.getreply(conn))
holds("no tag", tag(conn) == nil, tag(conn))
holds("old tags go", mt.eom_check(conn, MT_HDRDELETE, TAG, 1), "no deletion")
mt.disconnect(conn)
