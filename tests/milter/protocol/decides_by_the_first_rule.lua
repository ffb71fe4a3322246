-- Ordered rules, the first that matches decides; sizes as the MTA counted
--: [rule.never]
--: header Precedence = bulk
--: quota = honour
--: [rule.small]
--: client = 192.0.2.1
--: max-size = 1k
--: quota = ignore
--: [rule.not-bob]
--: rcpt = bob@*
--: quota = honour
--: [rule.rest]
--: client = 192.0.2.1
--: from = *@example.org
--: quota = ignore
dofile(PRELUDE)
local conn = dial("192.0.2.1")
local id = {"Message-ID", "<1@a>"}

local q = quota_of(conn, "o1", "<a@example.org>")
holds("a rule of one recipient comes before a rule of all", q == "-", q)
q = quota_of(conn, "o2", "<a@example.org>", {id, {"Precedence", "bulk"}})
holds("the first rule honours", q == "-", q)

local function sized(qid, words, size)
  must(mt.macro(conn, SMFIC_MAIL, "i", qid))
  must(mt.mailfrom(conn, "<a@example.org>", table.unpack(words)))
  rcpt(conn, "<bob@store.test>")
  headers(conn, {id})
  if size then must(mt.macro(conn, EOM_MACROS, "i", qid, "{msg_size}", size)) end
  finish(conn)
  return part(tag(conn), "q")
end

for number, case in ipairs({{"1 declared, which proves nothing", {"SIZE=1"}, nil, "-"},
                            {"1024 counted", {}, "1024", "*"}, {"1025 counted", {}, "1025", "-"},
                            {"1 declared and 4096 counted", {"SIZE=1"}, "4096", "-"},
                            {"4096 declared and 1 counted", {"SIZE=4096"}, "1", "*"},
                            {"no number", {}, "abc", "-"}, {"-1", {}, "-1", "-"},
                            {"a number with more", {}, "1x", "-"}, {"an empty one", {}, "", "-"},
                            {"2^64", {}, "18446744073709551616", "-"}}) do
  q = sized("z" .. number, case[2], case[3])
  holds("size " .. case[1] .. ": " .. case[4], q == case[4], q)
end

mail(conn, "o3", "<a@example.org>")
rcpt(conn, "<alice@store.test>")
rcpt(conn, "<bob@store.test>")
headers(conn, {id})
finish(conn)
verified("each recipient has its own first rule", conn, "o3", "<1@a>", {"alice@store.test"})
q = quota_of(conn, "o4", "<a@elsewhere.test>")
holds("no rule: honoured", q == "-", q)
mt.disconnect(conn)
