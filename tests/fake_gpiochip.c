/* A GPIO chip for a process that has none: preloaded, it answers the kernel's ioctls (linux/gpio.h)
 * for /dev/gpiochip0, which is another chip, and /dev/gpiochip4, which is labelled as a Pi 5's.
 * Each level that an output is given goes to the file $GPIO_LOG: "nanoseconds line level". */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/gpio.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINES = 54, FDS = 1024 };

static int chip_of[FDS];                           /* 1 + number of the chip, per descriptor */
static struct gpio_v2_line_request request_of[FDS]; /* num_lines > 0 where it holds lines */
static int holder[LINES];                          /* descriptor that holds the line, or 0 */
static int level[LINES];

static int blank(void)
{
    int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
    return real("/dev/null", O_RDWR);
}

int open(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, int) : 0, number;
    va_end(rest);
    if (sscanf(path, "/dev/gpiochip%d", &number) == 1) {
        if (number != 0 && number != 4) {
            errno = ENOENT;
            return -1;
        }
        int fd = blank();
        chip_of[fd] = 1 + number;
        return fd;
    }
    int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
    return real(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, int) : 0;
    va_end(rest);
    return open(path, flags, mode);
}

int close(int fd)
{
    if (fd >= 0 && fd < FDS) {
        for (unsigned i = 0; i < request_of[fd].num_lines; i++)
            holder[request_of[fd].offsets[i]] = 0;
        request_of[fd].num_lines = chip_of[fd] = 0;
    }
    int (*real)(int) = dlsym(RTLD_NEXT, "close");
    return real(fd);
}

static void put(int line, int value)
{
    static FILE *log;
    struct timespec now;
    if (!log) {
        log = fopen(getenv("GPIO_LOG"), "w");
        setvbuf(log, NULL, _IOLBF, 0);
    }
    level[line] = value;
    clock_gettime(CLOCK_MONOTONIC, &now);
    fprintf(log, "%lld %d %d\n", now.tv_sec * 1000000000LL + now.tv_nsec, line, value);
}

static int request(struct gpio_v2_line_request *asked)
{
    for (unsigned i = 0; i < asked->num_lines; i++)
        if (holder[asked->offsets[i]]) {
            errno = EBUSY;
            return -1;
        }
    asked->fd = blank();
    request_of[asked->fd] = *asked;
    for (unsigned i = 0; i < asked->num_lines; i++) {
        holder[asked->offsets[i]] = asked->fd;
        if (asked->config.flags & GPIO_V2_LINE_FLAG_OUTPUT)
            put(asked->offsets[i], asked->config.attrs[0].attr.values >> i & 1);
        else /* nothing is wired to it */
            level[asked->offsets[i]] = !!(asked->config.flags & GPIO_V2_LINE_FLAG_BIAS_PULL_UP);
    }
    return 0;
}

int ioctl(int fd, unsigned long what, ...)
{
    va_list rest;
    va_start(rest, what);
    void *data = va_arg(rest, void *);
    va_end(rest);
    if (what == GPIO_GET_CHIPINFO_IOCTL && chip_of[fd]) {
        struct gpiochip_info *info = data;
        memset(info, 0, sizeof *info);
        strcpy(info->label, chip_of[fd] == 5 ? "pinctrl-rp1" : "gpio-brcmstb");
        info->lines = LINES;
        return 0;
    }
    if (what == GPIO_V2_GET_LINE_IOCTL && chip_of[fd])
        return request(data);
    if (what == GPIO_V2_GET_LINEINFO_IOCTL && chip_of[fd]) {
        struct gpio_v2_line_info *info = data;
        int by = holder[info->offset];
        info->flags = by ? request_of[by].config.flags | GPIO_V2_LINE_FLAG_USED : 0;
        return 0;
    }
    if (what == GPIO_V2_LINE_SET_VALUES_IOCTL && request_of[fd].num_lines) {
        struct gpio_v2_line_values *values = data;
        for (unsigned i = 0; i < request_of[fd].num_lines; i++)
            if (values->mask >> i & 1)
                put(request_of[fd].offsets[i], values->bits >> i & 1);
        return 0;
    }
    if (what == GPIO_V2_LINE_GET_VALUES_IOCTL && request_of[fd].num_lines) {
        struct gpio_v2_line_values *values = data;
        values->bits = 0;
        for (unsigned i = 0; i < request_of[fd].num_lines; i++)
            values->bits |= (__u64)level[request_of[fd].offsets[i]] << i;
        return 0;
    }
    int (*real)(int, unsigned long, ...) = dlsym(RTLD_NEXT, "ioctl");
    return real(fd, what, data);
}
