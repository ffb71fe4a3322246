-- With bind-queue-id = no the tag holds for the Message-ID, in whatever queue it is later
--: bind-queue-id = no
--: tag-lifetime = 1h
--: tag-mailers = special
--: [rule.any]
--: client = 203.0.113.80
--: quota = ignore
dofile(PRELUDE)
local conn = dial()

mail(conn, "b1", "<a@example.org>")
rcpt(conn, "<bob@store.test>", "special")
headers(conn, {{"message-id", "<1.with\n\tfold@example.org>"}, {"Message-ID", "<2@example.org>"}})
finish(conn)
holds("the queue id is left out", part(tag(conn), "i") == nil, tag(conn))
verified("the first Message-ID counts, without its folds", conn, "", "<1.withfold@example.org>")
holds("it is for everybody", part(tag(conn), "q") == "*", tag(conn))
local left = (tonumber(part(tag(conn), "x")) or 0) - os.time()
holds("it lives as long as configured", left > 3590 and left <= 3601, left)

mail(conn, "b2", "<a@example.org>")
rcpt(conn, "<bob@store.test>", "special")
headers(conn, {{"Subject", "x"}})
holds("without a Message-ID: accepted", finish(conn) == CONT, mt.getreply(conn))
holds("without a Message-ID: no tag", tag(conn) == nil, tag(conn))

mail(conn, "b3", "<a@example.org>")
rcpt(conn, "<bob@store.test>", "special")
headers(conn, {{"Message-ID", ""}, {TAG, "old"}})
finish(conn)
holds("an empty Message-ID is none", tag(conn) == nil, tag(conn))
holds("old tags go all the same", mt.eom_check(conn, MT_HDRDELETE, TAG, 1), "no deletion")

mail(conn, "b4", "<a@example.org>")
rcpt(conn, "<bob@store.test>", OURS)
headers(conn, {{"Message-ID", "<1@a>"}})
finish(conn)
holds("only the mailers that are named read tags", tag(conn) == nil, tag(conn))
mt.disconnect(conn)
