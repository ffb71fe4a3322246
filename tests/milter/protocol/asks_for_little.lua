-- Of the MTA's offers the milter takes what it needs, and nothing that slows mail down
dofile(PRELUDE)
local conn = mt.connect("unix:" .. SOCKET)

for _, wanted in ipairs({{"add header fields", SMFIF_ADDHDRS},
                         {"change header fields", SMFIF_CHGHDRS}}) do
  holds("may " .. wanted[1], mt.test_action(conn, wanted[2]), "not asked for")
end
for _, unwanted in ipairs({{"change the body", SMFIF_CHGBODY}, {"add recipients", SMFIF_ADDRCPT},
                           {"delete recipients", SMFIF_DELRCPT}, {"quarantine", SMFIF_QUARANTINE},
                           {"change the sender", SMFIF_CHGFROM},
                           {"add recipients with parameters", SMFIF_ADDRCPT_PAR}}) do
  holds("may not " .. unwanted[1], not mt.test_action(conn, unwanted[2]), "asked for")
end
for _, step in ipairs({{"HELO", SMFIP_NOHELO}, {"the body", SMFIP_NOBODY}, {"DATA", SMFIP_NODATA},
                       {"unknown commands", SMFIP_NOUNKNOWN},
                       {"the end of the header", SMFIP_NOEOH}}) do
  holds("is not sent " .. step[1], mt.test_option(conn, step[2]), "sent")
end
for _, step in ipairs({{"the client", SMFIP_NOCONNECT}, {"MAIL", SMFIP_NOMAIL},
                       {"RCPT", SMFIP_NORCPT}, {"header fields", SMFIP_NOHDRS}}) do
  holds("is sent " .. step[1], not mt.test_option(conn, step[2]), "not sent")
end
for _, step in ipairs({{"the client", SMFIP_NR_CONN}, {"MAIL", SMFIP_NR_MAIL},
                       {"RCPT", SMFIP_NR_RCPT}, {"header fields", SMFIP_NR_HDR}}) do
  holds("does not reply to " .. step[1], mt.test_option(conn, step[2]), "replies")
end
holds("does not want blanks in front of values", not mt.test_option(conn, SMFIP_HDR_LEADSPC),
      "wants them")
holds("does not want refused recipients", not mt.test_option(conn, SMFIP_RCPT_REJ), "wants them")
mt.disconnect(conn)
