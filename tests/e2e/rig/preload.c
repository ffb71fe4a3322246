/* A preloaded library for private mail servers: syslog() appends to the file $RIG_LOG instead of
   writing to the machine's log, and gethostname() answers $RIG_HOSTNAME (a host name without a
   dot costs Sendmail a minute at every start). Without these variables all is as always. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static char ident[64] = "?";
static char log_path[4096];
static char hostname[256];

/* At the start: Sendmail empties its environment early. */
__attribute__((constructor)) static void remember(void) {
  const char *wanted = getenv("RIG_LOG");
  if (wanted) snprintf(log_path, sizeof log_path, "%s", wanted);
  wanted = getenv("RIG_HOSTNAME");
  if (wanted) snprintf(hostname, sizeof hostname, "%s", wanted);
}

void openlog(const char *name, int option, int facility) {
  (void)option;
  (void)facility;
  if (name) snprintf(ident, sizeof ident, "%s", name);
}

void closelog(void) {}

void vsyslog(int priority, const char *format, va_list arguments) {
  static char line[65536];
  int saved = errno;
  time_t now = time(NULL);
  struct tm local;
  size_t used, room;
  int wrote, file;
  (void)priority;
  if (!log_path[0]) return;
  localtime_r(&now, &local);
  used = strftime(line, sizeof line, "%b %e %H:%M:%S ", &local);
  used += (size_t)snprintf(line + used, sizeof line - used, "%s[%d]: ", ident, (int)getpid());
  room = sizeof line - used - 1;
  errno = saved; /* for %m */
  wrote = vsnprintf(line + used, room, format, arguments);
  if (wrote > 0) used += (size_t)wrote < room ? (size_t)wrote : room - 1;
  if (line[used - 1] != '\n') line[used++] = '\n';
  file = open(log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  if (file >= 0) {
    if (write(file, line, used) < 0) { /* a log that cannot be written never stops mail */
    }
    close(file);
  }
  errno = saved;
}

void syslog(int priority, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsyslog(priority, format, arguments);
  va_end(arguments);
}

void __vsyslog_chk(int priority, int flag, const char *format, va_list arguments) {
  (void)flag;
  vsyslog(priority, format, arguments);
}

void __syslog_chk(int priority, int flag, const char *format, ...) {
  va_list arguments;
  (void)flag;
  va_start(arguments, format);
  vsyslog(priority, format, arguments);
  va_end(arguments);
}

int gethostname(char *name, size_t size) {
  const char *wanted = hostname;
  struct utsname system;
  if (!wanted[0]) {
    if (uname(&system) != 0) return -1;
    wanted = system.nodename;
  }
  if (strlen(wanted) >= size) {
    errno = ENAMETOOLONG;
    return -1;
  }
  strcpy(name, wanted);
  return 0;
}
