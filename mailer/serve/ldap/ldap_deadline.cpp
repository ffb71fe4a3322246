#include "mailer/serve/ldap/ldap_deadline.h"

#include <poll.h>

#include <cerrno>

#include "mailer/io/waiting.h"

namespace lmtpq::mailer {

// The callbacks of lber, with its signatures.
struct LdapDeadlineLayer {
  static constexpr int kBeneathTls = (LBER_SBIOD_LEVEL_PROVIDER + LBER_SBIOD_LEVEL_TRANSPORT) / 2;

  static int connected(LDAP*, Sockbuf* buffer, LDAPURLDesc*, sockaddr*, ldap_conncb* callbacks) {
    return ber_sockbuf_add_io(buffer, &io, kBeneathTls, callbacks->lc_arg);
  }
  static void closed(LDAP*, Sockbuf*, ldap_conncb*) {}

  static int setup(Sockbuf_IO_Desc* layer, void* deadline) {
    layer->sbiod_pvt = deadline;
    return 0;
  }
  static int remove(Sockbuf_IO_Desc*) { return 0; }
  static int control(Sockbuf_IO_Desc* layer, int option, void* argument) {
    return LBER_SBIOD_CTRL_NEXT(layer, option, argument);
  }
  static ber_slen_t read(Sockbuf_IO_Desc* layer, void* into, ber_len_t length) {
    return await(layer, POLLIN) ? LBER_SBIOD_READ_NEXT(layer, into, length) : -1;
  }
  static ber_slen_t write(Sockbuf_IO_Desc* layer, void* from, ber_len_t length) {
    return await(layer, POLLOUT) ? LBER_SBIOD_WRITE_NEXT(layer, from, length) : -1;
  }
  static int close(Sockbuf_IO_Desc*) { return 0; }

  // Without this wait libldap would read the socket in a busy loop until something comes.
  static bool await(Sockbuf_IO_Desc* layer, short what) {
    int number = -1;
    ber_sockbuf_ctrl(layer->sbiod_sb, LBER_SB_OPT_GET_FD, &number);
    const Deadline deadline = static_cast<const LdapDeadline*>(layer->sbiod_pvt)->deadline_;
    while (true) {
      const int left = milliseconds_until(deadline);
      pollfd one{number, what, 0};
      const int ready = poll(&one, 1, left);
      if (ready > 0) {
        return true;
      }
      if (ready < 0 && errno != EINTR) {
        return false;
      }
      if (left == 0) {
        errno = ETIMEDOUT;
        return false;
      }
    }
  }

  static inline Sockbuf_IO io{&setup, &remove, &control, &read, &write, &close};
};

bool LdapDeadline::attach(LDAP* handle) {
  callbacks_ = {&LdapDeadlineLayer::connected, &LdapDeadlineLayer::closed, this};
  return ldap_set_option(handle, LDAP_OPT_CONNECT_CB, &callbacks_) == LDAP_OPT_SUCCESS;
}

}  // namespace lmtpq::mailer
