// The name and the help text of every metric that the daemon serves. docs/METRICS.md explains them.
#pragma once

namespace lmtpq::mailer {

struct MetricName {
  const char* name;
  const char* help;
};

namespace metric_names {

inline constexpr MetricName kDeliveries{
    "lmtpq_deliveries_total", "Recipients by outcome (sent, deferred, refused) and reason"};
inline constexpr MetricName kPossibleDuplicates{
    "lmtpq_possible_duplicates_total",
    "Recipients deferred after end of data: the store may have the message"};
inline constexpr MetricName kDelivery{
    "lmtpq_delivery_seconds",
    "Time for each recipient, in seconds: waited for the mailbox and a connection, sent the "
    "message, waited for the store's reply (answered)"};
inline constexpr MetricName kDials{"lmtpq_dials_total",
                                   "Attempts to connect to a store, by result"};
inline constexpr MetricName kDial{
    "lmtpq_dial_seconds",
    "Time from the start of a connection attempt until it was ready or failed, in seconds"};
inline constexpr MetricName kMessages{"lmtpq_messages_total",
                                      "Messages received from clients completely"};
inline constexpr MetricName kMessageBytes{"lmtpq_message_bytes_total", "Bytes of these messages"};
inline constexpr MetricName kMessagesSpooled{"lmtpq_messages_spooled_total",
                                             "Messages that were kept in a file, not in memory"};
inline constexpr MetricName kRepliesLost{
    "lmtpq_replies_lost_total",
    "Messages whose client did not receive the reply, and may send them again"};
inline constexpr MetricName kClientsAdmitted{"lmtpq_clients_admitted_total",
                                             "Client connections accepted"};
inline constexpr MetricName kClientsRefused{"lmtpq_clients_refused_total",
                                            "Client connections refused, by reason"};
inline constexpr MetricName kIgnorequota{"lmtpq_ignorequota_total",
                                         "Recipients by use of IGNOREQUOTA"};
inline constexpr MetricName kReliefs{
    "lmtpq_reliefs_total",
    "Recipients whose message needs SMTPUTF8 or 8BITMIME and was sent to a store without it"};
inline constexpr MetricName kTags{"lmtpq_tags_total",
                                  "Tags in messages: valid, or why they were rejected"};
inline constexpr MetricName kReloads{"lmtpq_reloads_total",
                                     "Reloads of the configuration, by result"};
inline constexpr MetricName kLogLinesDropped{
    "lmtpq_log_lines_dropped_total", "Log lines that the log did not take, and that are lost"};
inline constexpr MetricName kInput{"lmtpq_input_seconds",
                                   "Time from MAIL to end of data, in seconds"};
inline constexpr MetricName kPoolConnections{"lmtpq_pool_connections",
                                             "Connections to a store, by state"};
inline constexpr MetricName kPoolLimit{"lmtpq_pool_limit", "Limit of connections to a store"};
inline constexpr MetricName kPoolWaiting{"lmtpq_pool_waiting",
                                         "Deliveries waiting for a connection"};
inline constexpr MetricName kStoreUp{"lmtpq_store_up",
                                     "1 if the last attempt to connect succeeded, 0 if it failed"};
inline constexpr MetricName kClients{"lmtpq_clients", "Connected clients, by listener"};
inline constexpr MetricName kClientsLimit{"lmtpq_clients_limit", "Limit of connected clients"};
inline constexpr MetricName kMailboxWaiting{"lmtpq_mailbox_waiting",
                                            "Deliveries waiting for a mailbox (mailbox-limit)"};
inline constexpr MetricName kMemory{
    "lmtpq_memory_bytes", "Memory taken by clients and their messages, in bytes (memory-limit)"};
inline constexpr MetricName kMemoryLimit{"lmtpq_memory_limit_bytes",
                                         "Limit of this memory, in bytes"};
inline constexpr MetricName kMemoryRefused{"lmtpq_memory_refused_total",
                                           "Messages and recipients deferred for want of memory"};
inline constexpr MetricName kBuildInfo{
    "lmtpq_build_info", "Always 1; the labels have the version and what it was built with"};
inline constexpr MetricName kProcessStartTime{
    "process_start_time_seconds", "Start time of the daemon, in seconds since the epoch"};
inline constexpr MetricName kProcessCpu{"process_cpu_seconds_total",
                                        "User and system CPU time, in seconds"};
inline constexpr MetricName kProcessVirtualMemoryBytes{"process_virtual_memory_bytes",
                                                       "Virtual memory size, in bytes"};
inline constexpr MetricName kProcessResidentMemoryBytes{"process_resident_memory_bytes",
                                                        "Resident memory size, in bytes"};
inline constexpr MetricName kProcessOpenFds{"process_open_fds", "Open file descriptors"};
inline constexpr MetricName kProcessMaxFds{"process_max_fds", "Limit of open file descriptors"};

}  // namespace metric_names

}  // namespace lmtpq::mailer
