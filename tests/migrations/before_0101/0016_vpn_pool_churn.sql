-- A pool's row changes with each of its networks. While `used` stands in an index's condition, each change writes all of
-- the row's index entries anew and checks the prefix against every overlapping one, its own dead versions among them;
-- with nothing indexed that changes and room on the page, it is an update in place. Pools are few, full ones are skipped.
drop index vpn_pool_with_room;
create index vpn_pool_of_size on vpn_pool (subnetwork_size, pool_id) where not deleting;
alter table vpn_pool set (fillfactor = 30);
