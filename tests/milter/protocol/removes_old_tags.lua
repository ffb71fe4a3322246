-- No tag from outside stays, in whatever spelling and number, and ours is put on top
--: [rule.any]
--: client = 203.0.113.80
--: quota = ignore
dofile(PRELUDE)
local conn = dial()
local forged = "v=1; k=test-key; t=x; q=*; x=4102444800;\n\tm=AAAAAAAAAAA; b=AAAA"

local function removed(name, qid, fields)
  local tags = 0
  mail(conn, qid, "<a@example.org>")
  rcpt(conn, "<bob@store.test>")
  headers(conn, fields)
  for _, field in ipairs(fields) do
    if string.lower(field[1]) == "x-lmtpq-tag" then tags = tags + 1 end
  end
  holds(name .. ": accepted", finish(conn) == CONT, mt.getreply(conn))
  local left = {}
  for index = 1, tags do
    if not mt.eom_check(conn, MT_HDRDELETE, TAG, index) then left[#left + 1] = index end
  end
  holds(name .. ": each is deleted", #left == 0, table.concat(left, " "))
  holds(name .. ": no other is", not mt.eom_check(conn, MT_HDRDELETE, TAG, tags + 1) and
        not mt.eom_check(conn, MT_HDRDELETE, TAG, 0), "a deletion")
  verified(name .. ": ours is on top", conn, qid, "<1@example.org>")
end

local id = {"Message-ID", "<1@example.org>"}
removed("none", "f0", {id})
removed("one", "f1", {{TAG, forged}, id})
removed("two, around others", "f2", {{TAG, forged}, id, {"Subject", TAG .. ": no tag"},
                                     {TAG, "again"}})
local eight = {id}
for i = 1, 8 do eight[#eight + 1] = {i % 2 == 0 and TAG or "x-lmtpq-TAG", forged} end
removed("eight", "f8", eight)
removed("mixed case", "fm", {{"X-LMTPQ-TAG", forged}, {"x-lmtpq-tag", forged}, id})
removed("empty", "fe", {{TAG, ""}, {TAG, " "}, id})
removed("with a bare CR", "fr", {{TAG, "v=1;\rk=a;"}, id})
removed("look-alikes are not tags", "fl", {{"X-LMTPQ-Tags", forged}, {"X-LMTPQ", forged},
        {"X-LMTPQ-T\xd0\xb0g", forged}, {"XX-LMTPQ-Tag", forged}, id})

mail(conn, "fo", "<a@example.org>")
rcpt(conn, "<bob@elsewhere.test>", OTHER)
headers(conn, {{TAG, forged}, id})
finish(conn)
holds("mail for another mailer loses old tags too", mt.eom_check(conn, MT_HDRDELETE, TAG, 1),
      "no deletion")
holds("and gets none", tag(conn) == nil, tag(conn))
mt.disconnect(conn)
