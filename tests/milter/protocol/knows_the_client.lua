-- The client is the address of the connection, however the MTA writes it
--: [rule.networks]
--: client = 192.0.2.0/24 2001:db8::/32
--: quota = ignore
--: [rule.local]
--: client = local
--: from = cron@example.org
--: quota = ignore
dofile(PRELUDE)
local clients = {{"192.0.2.1", "*"}, {"192.0.3.1", "-"}, {"2001:db8::1", "*"}, {"2001:db9::1", "-"},
                 {"::ffff:192.0.2.9", "*"}, {"::ffff:192.0.3.9", "-"}, {"unspec", "-"},
                 {"::1", "-"}}
for number, client in ipairs(clients) do
  local conn = dial(client[1])
  local q = quota_of(conn, "c" .. number, "<a@example.org>")
  holds("client " .. client[1] .. " gets " .. client[2], q == client[2], q)
  mt.disconnect(conn)
end

local conn = dial("unspec")
local q = quota_of(conn, "l1", "<cron@example.org>")
holds("a connection without an address is local", q == "*", q)
mt.disconnect(conn)

conn = dial("203.0.113.1")
q = quota_of(conn, "l2", "<cron@example.org>")
holds("a stranger is not local", q == "-", q)
q = quota_of(conn, "l3", "<a@example.org>", nil, "{client_addr}", "192.0.2.1")
holds("the connection's address counts, not what a macro says", q == "-", q)
mt.disconnect(conn)

conn = dial("203.0.113.1", "192.0.2.1")
q = quota_of(conn, "l4", "<a@example.org>")
holds("a host's name is not its address", q == "-", q)
mt.disconnect(conn)
