#include "mailer/serve/ldap/ldap_limits.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>

#include "mailer/io/waiting.h"

namespace lmtpq::mailer {

// The callbacks of lber, with its signatures.
struct LdapLimitsLayer {
  static constexpr int kBeneathTls = (LBER_SBIOD_LEVEL_PROVIDER + LBER_SBIOD_LEVEL_TRANSPORT) / 2;

  static int connected(LDAP*, Sockbuf* buffer, LDAPURLDesc*, sockaddr*, ldap_conncb* callbacks) {
    return ber_sockbuf_add_io(buffer, &io, kBeneathTls, callbacks->lc_arg);
  }
  static void closed(LDAP*, Sockbuf*, ldap_conncb*) {}

  static int setup(Sockbuf_IO_Desc* layer, void* limits) {
    layer->sbiod_pvt = limits;
    return 0;
  }
  static int remove(Sockbuf_IO_Desc*) { return 0; }
  static int control(Sockbuf_IO_Desc* layer, int option, void* argument) {
    return LBER_SBIOD_CTRL_NEXT(layer, option, argument);
  }
  static ber_slen_t read(Sockbuf_IO_Desc* layer, void* into, ber_len_t length) {
    if (!await(layer, POLLIN)) {
      return -1;
    }
    LdapLimits& limits = limits_of(layer);
    if (limits.left_ == 0) {
      limits.passed_ = true;
      errno = EMSGSIZE;
      return -1;
    }
    const ber_len_t most = std::min<ber_len_t>(length, limits.left_);
    const ber_slen_t got = LBER_SBIOD_READ_NEXT(layer, into, most);
    limits.left_ -= got > 0 ? static_cast<std::size_t>(got) : 0;
    return got;
  }
  static ber_slen_t write(Sockbuf_IO_Desc* layer, void* from, ber_len_t length) {
    return await(layer, POLLOUT) ? LBER_SBIOD_WRITE_NEXT(layer, from, length) : -1;
  }
  static int close(Sockbuf_IO_Desc*) { return 0; }

  static LdapLimits& limits_of(Sockbuf_IO_Desc* layer) {
    return *static_cast<LdapLimits*>(layer->sbiod_pvt);
  }

  // Without this wait libldap would read the socket in a busy loop until something comes.
  static bool await(Sockbuf_IO_Desc* layer, short what) {
    int number = -1;
    ber_sockbuf_ctrl(layer->sbiod_sb, LBER_SB_OPT_GET_FD, &number);
    const Deadline deadline = limits_of(layer).deadline_;
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

bool LdapLimits::attach(LDAP* handle) {
  callbacks_ = {&LdapLimitsLayer::connected, &LdapLimitsLayer::closed, this};
  return ldap_set_option(handle, LDAP_OPT_CONNECT_CB, &callbacks_) == LDAP_OPT_SUCCESS;
}

}  // namespace lmtpq::mailer
