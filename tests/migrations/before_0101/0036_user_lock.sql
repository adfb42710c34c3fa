-- Users that staff have shut out; the directory's own locks count besides.
alter table users add column locked boolean not null default false;
call audit_table('users', 'user', 'user_id');
