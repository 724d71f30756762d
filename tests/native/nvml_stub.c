/*
 * An NVML with as many devices as a file says. Built by the tests as libnvidia-ml.so.1, so that the true bindings
 * load it on a machine without a GPU.
 *
 * The file named by NVML_STUB_STATE is read again at every call, so a test can change the numbers while the process
 * under test lives:
 *
 *     <code of nvmlInit>
 *     <code of device> <code of memory> <code of rates> <total> <used> <gpu percent> <uuid> <name, may have spaces>
 *     ...                                                                               (one line a device)
 *
 * As with the true library, a handle that was once lost (15) or needs a reset (16) stays lost until the last user has
 * shut NVML down and somebody has initialised it again. Every init and shutdown that succeeds is written, one line
 * each, to <NVML_STUB_STATE>.calls. With OLD_DRIVER defined the functions for utilization, UUID and name do not exist.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, LOST = 15, RESET_REQUIRED = 16, UNKNOWN = 999, MAX_DEVICES = 8 };

typedef struct { int index; int lost; } *Handle;
typedef struct { unsigned long long total, free, used; } Memory;
typedef struct { unsigned int gpu, memory; } Rates;
typedef struct {
    int code, memory_code, rates_code;
    unsigned long long total, used;
    unsigned int gpu;
    char uuid[96], name[96];
} Device;

static struct { int index; int lost; } handles[MAX_DEVICES];
static int users;

static int load(int *init_code, Device *devices) {
    int count = 0;
    FILE *file = fopen(getenv("NVML_STUB_STATE"), "r");
    if (file == NULL || fscanf(file, "%d", init_code) != 1) abort();
    while (count < MAX_DEVICES) {
        Device *d = &devices[count];
        if (fscanf(file, "%d %d %d %llu %llu %u %95s %95[^\n]", &d->code, &d->memory_code, &d->rates_code, &d->total,
                   &d->used, &d->gpu, d->uuid, d->name) != 8) break;
        count++;
    }
    fclose(file);
    return count;
}

static void note(const char *call) {
    char path[4096];
    snprintf(path, sizeof path, "%s.calls", getenv("NVML_STUB_STATE"));
    FILE *file = fopen(path, "a");
    if (file == NULL) abort();
    fprintf(file, "%s\n", call);
    fclose(file);
}

static int device(int index, Device *found) {
    Device devices[MAX_DEVICES];
    int init_code;
    if (users == 0) return UNINITIALIZED;
    if (index >= load(&init_code, devices)) return INVALID_ARGUMENT;
    *found = devices[index];
    if (found->code == LOST || found->code == RESET_REQUIRED) handles[index].lost = found->code;
    return handles[index].lost ? handles[index].lost : found->code;
}

int nvmlInitWithFlags(unsigned int flags) {
    Device devices[MAX_DEVICES];
    int init_code;
    (void)flags;
    load(&init_code, devices);
    if (init_code != SUCCESS) return init_code;
    if (users++ == 0)
        for (int i = 0; i < MAX_DEVICES; i++) { handles[i].index = i; handles[i].lost = 0; }
    note("init");
    return SUCCESS;
}

int nvmlShutdown(void) {
    if (users == 0) return UNINITIALIZED;
    users--;
    note("shutdown");
    return SUCCESS;
}

const char *nvmlErrorString(int code) { return code == UNKNOWN ? "Unknown Error" : "an error of the stub"; }

int nvmlDeviceGetCount_v2(unsigned int *count) {
    Device devices[MAX_DEVICES];
    int init_code;
    if (users == 0) return UNINITIALIZED;
    *count = (unsigned int)load(&init_code, devices);
    return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, Handle *handle) {
    Device found;
    *handle = (Handle)&handles[index];
    return device((int)index, &found);
}

int nvmlDeviceGetMemoryInfo(Handle handle, Memory *memory) {
    Device found;
    int code = device(handle->index, &found);
    if (code == SUCCESS) code = found.memory_code;
    if (code != SUCCESS) return code;
    memory->total = found.total;
    memory->used = found.used;
    memory->free = found.total - found.used;
    return SUCCESS;
}

#ifndef OLD_DRIVER
int nvmlDeviceGetUtilizationRates(Handle handle, Rates *rates) {
    Device found;
    int code = device(handle->index, &found);
    if (code == SUCCESS) code = found.rates_code;
    if (code != SUCCESS) return code;
    rates->gpu = found.gpu;
    rates->memory = 0;
    return SUCCESS;
}

static int text(const Handle handle, char *out, unsigned int length, int want_uuid) {
    Device found;
    int code = device(handle->index, &found);
    if (code == SUCCESS) snprintf(out, length, "%s", want_uuid ? found.uuid : found.name);
    return code;
}

int nvmlDeviceGetUUID(Handle handle, char *uuid, unsigned int length) { return text(handle, uuid, length, 1); }

int nvmlDeviceGetName(Handle handle, char *name, unsigned int length) { return text(handle, name, length, 0); }
#endif
