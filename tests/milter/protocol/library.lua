-- What the scripts have in common: a case each, the usual client and message, and the tag.
-- The caller sets SOCKET, and PRELUDE, which is this file: every script begins with a dofile of it.
-- A script's comments say which milter it wants:  `--: LINE` is a line of its configuration.

CONT = SMFIR_CONTINUE
EOM_MACROS = string.byte("E")  -- SMFIC_BODYEOB, which miltertest does not name
TAG = "X-LMTPQ-Tag"
OURS, OTHER = "cyrusv2", "esmtp"

-- One case: what must hold, whether it does, and what was seen instead.
function holds(name, truth, seen)
  if truth then
    mt.echo("ok " .. name)
  else
    mt.echo("not ok " .. name .. ": saw " .. tostring(seen))
  end
end

function must(problem)
  if problem ~= nil then error(problem, 2) end
end

function dial(ip, host)
  local conn = mt.connect("unix:" .. SOCKET)
  if conn == nil then error("no connection") end
  must(mt.conninfo(conn, host or "client.example.org", ip or "203.0.113.80"))
  return conn
end

-- MAIL with its macros: the queue id, and pairs of others.
function mail(conn, qid, sender, ...)
  must(mt.macro(conn, SMFIC_MAIL, "i", qid, ...))
  must(mt.mailfrom(conn, sender))
end

function rcpt(conn, given, mailer, resolved)
  local plain = string.gsub(given, "[<>]", "")
  must(mt.macro(conn, SMFIC_RCPT, "{rcpt_mailer}", mailer or OURS, "{rcpt_addr}",
                resolved or plain))
  must(mt.rcptto(conn, given))
end

function headers(conn, fields)
  for _, field in ipairs(fields) do must(mt.header(conn, field[1], field[2])) end
end

function finish(conn)
  must(mt.eom(conn))
  return mt.getreply(conn)
end

-- The tag that was inserted on top of the header, without blanks; nil: none.
function tag(conn)
  if not mt.eom_check(conn, MT_HDRINSERT, TAG) then return nil end
  local value = mt.getheader(conn, TAG, 0)
  if not mt.eom_check(conn, MT_HDRINSERT, TAG, value, 0) then return "not at index 0" end
  return (string.gsub(value, "%s", ""))
end

function part(text, letter)
  return text and string.match(";" .. text, ";" .. letter .. "=([^;]*)")
end

-- Hands the tag to the runner, which verifies its MAC and digests: it must be bound to the ids, and
-- a list must have all of the addresses and nothing else.
function verified(name, conn, qid, message_id, addresses)
  local value = tag(conn)
  if value == nil then
    holds(name, false, "no tag")
  else
    mt.echo("verify\t" .. name .. "\t" .. value .. "\t" .. (qid or "") .. "\t" ..
            (message_id or "") .. "\t" .. table.concat(addresses or {}, " "))
  end
end

-- A whole message to one recipient of ours; the quota in its tag, or nil.
function quota_of(conn, qid, sender, fields, ...)
  mail(conn, qid, sender, ...)
  rcpt(conn, "<bob@store.test>")
  headers(conn, fields or {{"Message-ID", "<" .. qid .. "@example.org>"}})
  local reply = finish(conn)
  if reply ~= CONT then return "reply " .. string.char(reply) end
  return part(tag(conn), "q")
end
