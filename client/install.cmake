# SPDX-License-Identifier: MIT
# The library for those who link it: by CMake as fipc::client, by pkg-config as libfipc-client. Both
# find everything relative to themselves, so that an installed tree can be moved.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/fipc-client)
set(pkgconfig_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(
    TARGETS fipc-client fipc-client-static
    EXPORT fipc-client
    ARCHIVE COMPONENT development
    LIBRARY COMPONENT library NAMELINK_COMPONENT development
)
install(
    FILES ${public_headers}
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/fipc
    COMPONENT development
)
install(
    FILES
        examples/async_libev.c
        examples/async_poll.c
        examples/async_sd_event.c
        examples/kv_store.c
    DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples
    COMPONENT development
)

install(
    EXPORT fipc-client
    NAMESPACE fipc::
    FILE fipc-client-config.cmake
    DESTINATION ${package_dir}
    COMPONENT development
)
write_basic_package_version_file(
    ${CMAKE_CURRENT_BINARY_DIR}/fipc-client-config-version.cmake
    COMPATIBILITY SameMajorVersion
)
install(
    FILES ${CMAKE_CURRENT_BINARY_DIR}/fipc-client-config-version.cmake
    DESTINATION ${package_dir}
    COMPONENT development
)

file(
    RELATIVE_PATH
    prefix_from_pcfile
    ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig
    ${CMAKE_INSTALL_PREFIX}
)
string(REGEX REPLACE "/$" "" prefix_from_pcfile ${prefix_from_pcfile})
file(RELATIVE_PATH libdir_from_prefix ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_LIBDIR})
file(RELATIVE_PATH includedir_from_prefix ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_INCLUDEDIR})
configure_file(libfipc-client.pc.in libfipc-client.pc @ONLY)
install(
    FILES ${CMAKE_CURRENT_BINARY_DIR}/libfipc-client.pc
    DESTINATION ${pkgconfig_dir}
    COMPONENT development
)
